/**
 * Merges runs of tables into one run: the newest cell of each key. Lines are copied as they are.
 */
import { Effect } from "effect"
import type { Disk } from "../../disk/Disk.ts"
import type { StorageError } from "../../disk/StorageError.ts"
import * as cellLines from "../../domain/cell/cellLines.ts"
import type { Hole } from "../manifest/Holes.ts"
import { Merger } from "../merge/Merger.ts"
import type { Table } from "../sstable/Table.ts"
import * as TableWriter from "../sstable/TableWriter.ts"
import { LineSource, order } from "./LineSource.ts"

export interface Options extends TableWriter.Settings {
  readonly disk: Disk["Service"]
  readonly directory: string
  /** The number of the next file. */
  readonly nextId: () => number
  /** A table ends with the line that reaches this size. */
  readonly tableBytes: number
  /** Whether the tombstone at which the source stands is left out; without it all are kept. */
  readonly leavesOut?: ((source: LineSource) => boolean) | undefined
}

export interface Merged {
  /** Complete tables, in key order; their files are durable, their names not yet. */
  readonly ids: ReadonlyArray<number>
  /** Blocks of the sources that could not be read. */
  readonly holes: ReadonlyArray<Hole>
}

/** Merged in about half a millisecond, then requests get their turn. */
const linesPerSlice = 512

export const mergeTables = Effect.fnUntraced(function*(runs: ReadonlyArray<ReadonlyArray<Table>>, options: Options) {
  const { directory, disk } = options
  const ids: Array<number> = []
  const holes: Array<Hole> = []
  const merger = new Merger(runs.map((run) => new LineSource(run, (hole) => holes.push(hole))), order)
  let writer: TableWriter.TableWriter | undefined
  const abandon = Effect.suspend(() => writer === undefined ? Effect.void : writer.abandon)

  yield* Effect.gen(function*() {
    for (;;) {
      yield* loadWaiting(merger)
      const source = merger.next()
      if (source === undefined) break
      if (writer === undefined) {
        const id = options.nextId()
        writer = yield* TableWriter.open(disk, directory, id, options)
        ids.push(id)
      }
      copySlice(merger, writer, options)
      if (writer.isFull()) yield* writer.drain
      if (writer.sizeBytes() >= options.tableBytes) {
        yield* writer.finish
        writer = undefined
      }
      yield* Effect.yieldNow
    }
    if (writer === undefined) return
    // Tombstones alone, and they were left out.
    if (writer.sizeBytes() > 0) yield* writer.finish
    else {
      yield* writer.abandon
      ids.pop()
    }
    writer = undefined
  }).pipe(Effect.onError(() => Effect.andThen(abandon, removeAll(options, ids))))
  yield* disk.syncDirectory(directory)
  const merged: Merged = { ids, holes }
  return merged
})

/** Removes tables that will not be used. */
export const removeAll = ({ directory, disk }: Options, ids: ReadonlyArray<number>): Effect.Effect<void> =>
  Effect.forEach(ids, (id) => TableWriter.remove(disk, directory, id), { discard: true })

const loadWaiting = Effect.fnUntraced(function*(merger: Merger<LineSource>): Effect.fn.Return<void, StorageError> {
  while (merger.waiting.length > 0) {
    yield* Effect.forEach(merger.waiting.filter((source) => source.mustLoad()), ({ load }) => load, {
      concurrency: "unbounded",
      discard: true
    })
    merger.resume()
  }
})

const keepsAll = () => false

/** Ends early when the writer is full, since lines may be of a megabyte each, and when a source must be loaded. */
const copySlice = (merger: Merger<LineSource>, writer: TableWriter.TableWriter, options: Options): void => {
  const { leavesOut = keepsAll } = options
  for (let count = 0; count < linesPerSlice && merger.waiting.length === 0 && !writer.isFull(); count++) {
    const source = merger.next()
    if (source === undefined || writer.sizeBytes() >= options.tableBytes) return
    const { block, end, start } = source
    const isLeftOut = cellLines.isTombstoneAt(block, end) && leavesOut(source)
    if (!isLeftOut) writer.copy(block, start, end, source.hash(), cellLines.counterAt(block, source.versionStart()))
    merger.advance()
  }
}
