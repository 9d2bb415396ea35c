/**
 * `rondo storage dump`: the cells of one store or of several as lines of JSON, in key order. Of several stores, as of the
 * nodes of one cluster, the newest cell of each key.
 */
import { Effect, Option, Stream } from "effect"
import { type Cell, isTombstone } from "../../domain/cell/Cell.ts"
import * as CellLine from "../../domain/cell/CellLine.ts"
import * as Levels from "../../storage/Levels.ts"
import * as Holes from "../../storage/manifest/Holes.ts"
import * as describe from "../../storage/offline/describeDamage.ts"
import type { ReadOnly } from "../../storage/offline/ReadOnly.ts"
import { TableSource } from "../../storage/scan/CellSource.ts"
import * as Cursor from "../../storage/scan/Cursor.ts"
import { CommandFailed } from "../CommandFailed.ts"
import { mergeCells } from "../mergeCells.ts"
import { Output } from "../Output.ts"
import * as Record from "../record.ts"
import * as Tally from "../Tally.ts"
import { counted } from "../Tally.ts"
import * as directory from "./directory.ts"

export interface Given {
  readonly directories: ReadonlyArray<string>
  readonly prefix: string
  readonly from: Option.Option<string>
  readonly to: Option.Option<string>
  readonly reverse: boolean
  readonly limit: Option.Option<number>
  readonly table: Option.Option<number>
  readonly cells: boolean
  readonly tombstones: boolean
  readonly skipDamage: boolean
  readonly quiet: boolean
}

const cellsPerPage = 1024

export const dump = (given: Given) =>
  directory.runReading(
    given.directories[0]!,
    Effect.gen(function*() {
      yield* refuseContradictions(given)
      const { notice, noticeIsTerminal, result, resultIsTerminal } = yield* Output
      const stores = yield* Effect.forEach(given.directories, directory.openReadOnly)
      const sources = yield* Effect.forEach(stores, (store) =>
        Effect.map(cursorOf(store, given), (cursor) => ({ name: store.directory, cells: pages(cursor) })))
      const tally = Tally.make("dump")
      const print = (sources.length === 1 ? sources[0]!.cells : mergeCells(sources)).pipe(
        // Only now: a tombstone hides what another store still has.
        Stream.filter((cell) =>
          given.tombstones || !isTombstone(cell)
        ),
        Option.isSome(given.limit) ? Stream.take(given.limit.value) : (cells) => cells,
        Stream.runForEachArray((cells) => {
          tally.done += cells.length
          return result(cells.map(given.cells ? cellLine : recordLine).join(""))
        })
      )
      const isShown = noticeIsTerminal && !resultIsTerminal && !given.quiet
      yield* Tally.during(tally, !isShown, print).pipe(
        Effect.catchTag("Corruption", (error) =>
          Effect.fail(
            new CommandFailed({
              message: `${error.message}\n  --skip-damage passes over what is lost; ` +
                "a key there may then come with an older value, or not at all"
            })
          ))
      )
      const passed = passedOver(stores, given)
      if (passed.length > 0) yield* notice(`${passed.join("\n")}\n`)
    })
  )

const cellLine = (cell: Cell): string => `${CellLine.encode(cell)}\n`
const recordLine = ({ key, value }: Cell): string => `${Record.encode({ key, ...value! })}\n`

const refuseContradictions = ({ cells, directories, reverse, table, tombstones }: Given) => {
  const problem = tombstones && !cells
    ? "--tombstones needs --cells: a record without a value would be none"
    : directories.length > 1 && reverse
    ? "--reverse is for one directory"
    : directories.length > 1 && Option.isSome(table)
    ? "--table is for one directory"
    : undefined
  return problem === undefined ? Effect.void : Effect.fail(new CommandFailed({ message: problem }))
}

/** Said at the end: what cannot be read is found on the way. */
const passedOver = (stores: ReadonlyArray<ReadOnly>, given: Given): ReadonlyArray<string> => {
  const { from, to } = Cursor.rangeOf(scanOf(given))
  const ranges = stores
    .flatMap((store) => [...(Option.isSome(given.table) ? [] : store.holes), ...describe.met(store)])
    .filter((hole) => Holes.meets(hole, from, to))
  const logs = Option.isSome(given.table) ? [] : stores.flatMap((store) => describe.logProblems(store.logs))
  return [
    ...(ranges.length === 0 ? [] : [
      `passed over ${counted(ranges.length, "damaged range")}: ${ranges.map(describe.keysOf).join("; ")}; ` +
      "a key there may be missing, or older than it was"
    ]),
    ...logs.map((log) => `${log}: what it held there is missing`)
  ]
}

const scanOf = (given: Given): Cursor.ScanOptions => ({
  prefix: given.prefix,
  reverse: given.reverse,
  damage: given.skipDamage ? "skip" : "fail",
  ...(Option.isSome(given.from) ? { from: given.from.value } : {}),
  ...(Option.isSome(given.to) ? { to: given.to.value } : {})
})

const cursorOf = Effect.fnUntraced(function*(store: ReadOnly, given: Given) {
  const options = scanOf(given)
  if (Option.isNone(given.table)) {
    const [damagedLog] = given.skipDamage ? [] : describe.logProblems(store.logs)
    if (damagedLog === undefined) return yield* store.cursor(options)
    return yield* new CommandFailed({
      message: `${damagedLog}\n  --skip-damage dumps every whole record of it`
    })
  }
  const wanted = given.table.value
  const table = Levels.all(store.levels).find(({ id }) => id === wanted)
  if (table === undefined) {
    return yield* new CommandFailed({
      message: `${store.directory} has no table ${wanted} that can be opened: rondo storage inspect --tables lists them`
    })
  }
  return Cursor.make([new TableSource([table], given.reverse, given.skipDamage)], [], options)
})

const pages = (cursor: Cursor.Cursor) =>
  Stream.paginate(cursor, (same) =>
    Effect.map(
      same.next(cellsPerPage),
      (cells) => [cells, cells.length === 0 ? Option.none<Cursor.Cursor>() : Option.some(same)] as const
    ))
