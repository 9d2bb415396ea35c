/**
 * Merges tables into one: the newest cell of each key, tombstones included. Lines are copied as they are.
 */
import { Effect } from "effect"
import type { Disk } from "../Disk.ts"
import * as cellLines from "../sstable/cellLines.ts"
import type { Table } from "../sstable/Table.ts"
import * as TableWriter from "../sstable/TableWriter.ts"
import * as merge from "./merge.ts"

/** Merged in about a millisecond, then requests get their turn. */
const linesPerSlice = 256

export const mergeTables = Effect.fnUntraced(function*(
  disk: Disk["Service"],
  directory: string,
  id: number,
  tables: ReadonlyArray<Table>
) {
  const cellsMax = tables.reduce((sum, table) => sum + table.index.properties.cells, 0)
  const writer = yield* TableWriter.open(disk, directory, id, cellsMax)
  const sources = tables.map((table) => merge.ofTable(table, ""))
  yield* Effect.gen(function*() {
    while (yield* mergeSlice(sources, writer)) {
      if (writer.isFull()) yield* writer.drain
      yield* Effect.yieldNow
    }
    yield* writer.finish
  }).pipe(Effect.onError(() => writer.abandon))
})

/** Whether there is more. Ends early when the writer is full: lines may be of a megabyte each. */
const mergeSlice = Effect.fnUntraced(function*(
  sources: ReadonlyArray<merge.TableSource>,
  writer: TableWriter.TableWriter
) {
  for (let count = 0; count < linesPerSlice && !writer.isFull(); count++) {
    for (let loading = merge.loadAll(sources); loading !== undefined; loading = merge.loadAll(sources)) yield* loading
    const winner = merge.next(sources)
    if (winner === undefined) return false
    const line = winner.line()
    writer.copy(winner.key()!, cellLines.counterOf(line), cellLines.isTombstone(line), line)
    winner.advance()
  }
  return true
})
