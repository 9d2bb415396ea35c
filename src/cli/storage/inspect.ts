/** `rondo storage inspect`: the parts of a store and their sizes. */
import { Effect, Stream } from "effect"
import { Disk } from "../../disk/Disk.ts"
import type { Cell } from "../../domain/cell/Cell.ts"
import * as CellLine from "../../domain/cell/CellLine.ts"
import * as Levels from "../../storage/Levels.ts"
import type * as ReadOnly from "../../storage/offline/ReadOnly.ts"
import { print } from "../Output.ts"
import * as progress from "../progress.ts"
import * as directory from "./directory.ts"
import { inspectionOf, type Newest, render, sum } from "./inspection.ts"
import type * as options from "./options.ts"

type Given = options.Given<typeof options.inspect>

export const run = (given: Given) =>
  directory.runReading(
    given.directory,
    Effect.gen(function*() {
      const store = yield* directory.openReadOnly(given.directory)
      const names = yield* (yield* Disk).list(given.directory)
      const newest = given.full ? yield* measure(store, given.quiet) : undefined
      const inspection = inspectionOf(store, names, newest)
      yield* print(given.json, inspection, render(inspection, given.tables))
    })
  )

/** The bytes of the newest cells: the size of a store without obsolete ones. */
const measure = Effect.fnUntraced(function*(store: ReadOnly.ReadOnly, isQuiet: boolean) {
  const newest = { cells: 0, tombstones: 0, bytes: 0 }
  const count = (cell: Cell) => {
    newest.cells++
    if (cell.value === undefined) newest.tombstones++
    newest.bytes += Buffer.byteLength(CellLine.encode(cell)) + 1
  }
  const cells = directory.cellsOf(yield* store.cursor({ damage: "skip" }))
  const walk = Stream.runForEachArray(
    cells,
    (page) => Effect.andThen(Effect.sync(() => page.forEach(count)), Effect.yieldNow)
  )
  const all = sum(Levels.all(store.levels), (table) => table.cells) + store.memtable.entries.size
  yield* progress.during(isQuiet, () => Effect.sync(() => `reading  ${progress.percent(newest.cells, all)}`), walk)
  return newest satisfies Newest
})
