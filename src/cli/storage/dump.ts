/**
 * `rondo storage dump`: the cells of stores as lines of JSON, in key order. Several stores, such as the nodes of a
 * cluster, are merged: the newest cell of each key wins.
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
import { failed } from "../CommandFailed.ts"
import { mergeCells } from "../mergeCells.ts"
import { Output } from "../Output.ts"
import * as Record from "../record.ts"
import * as Tally from "../Tally.ts"
import { counted } from "../Tally.ts"
import * as directory from "./directory.ts"
import type * as options from "./options.ts"

type Given = options.Given<typeof options.dump>

const mayBeMissing = "a key there may be missing, or have an older value"

export const run = (given: Given) =>
  directory.runReading(
    given.directories[0]!,
    Effect.gen(function*() {
      yield* refuseContradictions(given)
      const { notice, noticeIsTerminal, result, resultIsTerminal } = yield* Output
      const stores = yield* Effect.forEach(given.directories, directory.openReadOnly)
      const sources = yield* Effect.forEach(stores, (store) =>
        Effect.map(cursorOf(store, given), (cursor) => ({ name: store.directory, cells: directory.cellsOf(cursor) })))
      const tally = Tally.make("dump")
      const print = (sources.length === 1 ? sources[0]!.cells : mergeCells(sources)).pipe(
        // Not before the merge: a tombstone hides the cell that another store still has.
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
          Effect.fail(failed(`${error.message}\n  --skip-damage skips what is lost: ${mayBeMissing}`)))
      )
      const passed = passedOver(stores, given)
      if (passed.length > 0) {
        yield* notice(`${passed.join("\n")}\n`)
      }
    })
  )

const cellLine = (cell: Cell): string => `${CellLine.encode(cell)}\n`
const recordLine = ({ key, value }: Cell): string => `${Record.encode({ key, ...value! })}\n`

const refuseContradictions = ({ cells, directories, reverse, table, tombstones }: Given) => {
  const problem = tombstones && !cells
    ? "--tombstones needs --cells, since a record has a value"
    : directories.length > 1 && reverse
    ? "--reverse is for one directory"
    : directories.length > 1 && Option.isSome(table)
    ? "--table is for one directory"
    : undefined
  return problem === undefined ? Effect.void : Effect.fail(failed(problem))
}

/** Reported at the end, since damage is found on the way. */
const passedOver = (stores: ReadonlyArray<ReadOnly>, given: Given): ReadonlyArray<string> => {
  const { from, to } = Cursor.rangeOf(scanOf(given))
  const ranges = stores
    .flatMap((store) => [...(Option.isSome(given.table) ? [] : store.holes), ...describe.met(store)])
    .filter((hole) => Holes.meets(hole, from, to))
  const logs = Option.isSome(given.table) ? [] : stores.flatMap((store) => describe.logProblems(store.logs))
  return [
    ...(ranges.length === 0 ? [] : [
      `skipped ${counted(ranges.length, "damaged range")}: ${ranges.map(describe.keysOf).join("; ")}; ` +
      mayBeMissing
    ]),
    ...logs.map((log) => `${log}: the cells there are missing`)
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
    return yield* failed(`${damagedLog}\n  --skip-damage dumps every record of it that can be read`)
  }
  const wanted = given.table.value
  const table = Levels.all(store.levels).find(({ id }) => id === wanted)
  if (table === undefined) {
    return yield* failed(
      `${store.directory} has no table ${wanted} that can be opened: rondo storage inspect --tables lists them`
    )
  }
  return Cursor.make([new TableSource([table], given.reverse, given.skipDamage)], [], options)
})
