/** `rondo storage inspect`: the parts of a store and their sizes. */
import { Effect } from "effect"
import { Disk } from "../../disk/Disk.ts"
import type { Cell } from "../../domain/cell/Cell.ts"
import * as CellLine from "../../domain/cell/CellLine.ts"
import * as Levels from "../../storage/Levels.ts"
import * as Manifest from "../../storage/manifest/Manifest.ts"
import * as describe from "../../storage/offline/describeDamage.ts"
import type * as ReadOnly from "../../storage/offline/ReadOnly.ts"
import type { Table } from "../../storage/sstable/Table.ts"
import * as TableIndex from "../../storage/sstable/TableIndex.ts"
import { printLine } from "../Output.ts"
import * as progress from "../progress.ts"
import * as directory from "./directory.ts"
import { type Inspection, type Newest, render, type TableView } from "./inspectText.ts"
import type * as options from "./options.ts"

type Given = options.Given<typeof options.inspect>

export const inspect = (given: Given) =>
  directory.runReading(
    given.directory,
    Effect.gen(function*() {
      const store = yield* directory.openReadOnly(given.directory)
      const names = yield* (yield* Disk).list(given.directory)
      const newest = given.full ? yield* measure(store, given.quiet) : undefined
      const inspection = inspectionOf(store, names, newest)
      yield* printLine(given.json ? JSON.stringify(inspection) : render(inspection, given.tables))
    })
  )

const inspectionOf = (
  store: ReadOnly.ReadOnly,
  names: ReadonlyArray<string>,
  newest: Newest | undefined
): Inspection => {
  const tables = Levels.all(store.levels)
  const cells = sum(tables, (table) => table.cells)
  return {
    directory: store.directory,
    kind: names.includes("identity.json") ? "data directory" : store.logs.length > 0 ? "store" : "snapshot",
    format: Manifest.format,
    cells,
    tombstones: sum(tables, (table) => table.tombstones),
    bytes: Levels.bytesOf(tables),
    counterMax: store.counterMax,
    readAmplification: Levels.runs(store.levels).length,
    bloomBitsPerKey: cells === 0 ? 0 : 8 * sum(tables, ({ index }) => index.bloom.bits.length) / cells,
    blocks: sum(tables, ({ index }) => TableIndex.blockCount(index)),
    levels: store.levels.flatMap((level, number) =>
      level.length === 0 ? [] : [{
        level: number,
        cells: sum(level, (table) => table.cells),
        tombstones: sum(level, (table) => table.tombstones),
        bytes: Levels.bytesOf(level),
        tables: level.map(tableView)
      }]
    ),
    logs: store.logs.map(({ problem, ...log }) => problem === undefined ? log : { ...log, problem }),
    cellsInLogs: store.memtable.entries.size,
    problems: describe.problems(store),
    ...(newest === undefined ? {} : { newest, spaceAmplification: amplification(Levels.bytesOf(tables), newest.bytes) })
  }
}

const amplification = (bytes: number, newestBytes: number): number => newestBytes === 0 ? 1 : bytes / newestBytes

const tableView = ({ cells, id, index, keyMax, keyMin, path, sizeBytes, tombstones }: Table): TableView => ({
  table: id,
  path,
  bytes: sizeBytes,
  cells,
  tombstones,
  blocks: TableIndex.blockCount(index),
  keyMin,
  keyMax
})

const sum = <A>(list: ReadonlyArray<A>, of: (one: A) => number): number =>
  list.reduce((total, one) => total + of(one), 0)

const cellsPerPage = 1024

/** The bytes of the newest cells: the size of a store without obsolete ones. */
const measure = Effect.fnUntraced(function*(store: ReadOnly.ReadOnly, isQuiet: boolean) {
  const newest = { cells: 0, tombstones: 0, bytes: 0 }
  const count = (cell: Cell) => {
    newest.cells++
    if (cell.value === undefined) newest.tombstones++
    newest.bytes += Buffer.byteLength(CellLine.encode(cell)) + 1
  }
  const walk = Effect.gen(function*() {
    const cursor = yield* store.cursor({ damage: "skip" })
    for (let cells = yield* cursor.next(cellsPerPage); cells.length > 0; cells = yield* cursor.next(cellsPerPage)) {
      cells.forEach(count)
      yield* Effect.yieldNow
    }
  })
  const all = sum(Levels.all(store.levels), (table) => table.cells) + store.memtable.entries.size
  yield* progress.during(isQuiet, () => Effect.sync(() => `reading  ${progress.percent(newest.cells, all)}`), walk)
  const result: Newest = newest
  return result
})
