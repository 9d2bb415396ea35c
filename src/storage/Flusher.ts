/**
 * Turns a full memtable into a table in the background, then lets its logs go.
 *
 * Invariants
 * - A log is removed only when the manifest that names its cells' table is durable.
 */
import { Effect } from "effect"
import type { StorageError } from "../disk/StorageError.ts"
import * as assertions from "./assertions.ts"
import * as Levels from "./Levels.ts"
import type * as Memtable from "./memtable/Memtable.ts"
import * as SortedRuns from "./memtable/SortedRuns.ts"
import type * as Table from "./sstable/Table.ts"
import * as TableWriter from "./sstable/TableWriter.ts"
import type { State } from "./State.ts"
import { pathOf } from "./wal/RecordLog.ts"

/** Encoded in about a millisecond when values have a kilobyte, then requests get their turn. */
const cellsPerSlice = 512

const none: ReadonlySet<Table.Table> = new Set()

const retryDelay = "1 second"

/** Begins with what an earlier run, ended by a defect, left undone. */
export const run = (state: State): Effect.Effect<never> =>
  Effect.andThen(
    Effect.sync(() => state.flushes.request()),
    Effect.forever(
      Effect.gen(function*() {
        yield* state.flushes.awaitRequest
        const memtable = state.memtables.flushing
        if (memtable === undefined) return
        const table = yield* untilDone(state, build(state, memtable))
        const { directory } = state.settings
        const discard = TableWriter.remove(state.disk, directory, table.id)
        yield* assertions.onBroken(discard)(untilDone(state, adopt(state, table)))
        for (const log of memtable.logs) {
          yield* Effect.ignore(state.disk.remove(pathOf(directory, log)))
        }
      }).pipe(
        Effect.scoped,
        assertions.onBroken(Effect.sync(() => state.flushes.end(assertions.refusal("flush", state.settings.directory))))
      )
    )
  )

/**
 * Sorts, encodes and writes the memtable; what a failed attempt wrote is removed.
 */
const build = Effect.fnUntraced(function*(state: State, memtable: Memtable.Memtable) {
  const { disk, settings } = state
  const { directory } = settings
  const entries = yield* SortedRuns.inOne(memtable.runs)
  const id = state.tables.takeFile()
  const writer = yield* TableWriter.open(disk, directory, id, settings)
  return yield* Effect.gen(function*() {
    let tombstones = 0
    let counterMax = 0
    for (let index = 0; index < entries.length; index++) {
      if (index % cellsPerSlice === cellsPerSlice - 1) yield* Effect.yieldNow
      if (writer.isFull()) yield* writer.drain
      const cell = entries[index]!.cell!
      writer.add(cell)
      if (cell.value === undefined) tombstones++
      if (cell.version.counter > counterMax) counterMax = cell.version.counter
    }
    yield* writer.finish
    yield* disk.syncDirectory(directory)
    const table = yield* state.tables.open(state.context, id)
    const [keyMin, keyMax] = [entries[0]!.cell!.key, entries.at(-1)!.cell!.key]
    const memtable = { cells: entries.length, tombstones, keyMin, keyMax, counterMax }
    yield* assertions.holds("a flush", assertions.ofFlush(table, memtable))
    return table
  }).pipe(Effect.onError(() => writer.abandon))
})

/** From one step to the next, reads find the cells in the table and no longer in the memtable. */
const adopt = (state: State, table: Table.Table) =>
  state.tables.install(
    (now) => ({
      ...now,
      levels: Levels.replace(now.levels, none, [table], 0),
      logs: state.memtables.active.logs
    }),
    () => {
      state.memtables.dropFlushing()
      state.figures.countFlush(table.sizeBytes)
      state.compactions.wake()
      state.flushes.end(undefined)
    }
  )

/** Tries again until it succeeds, and reports each failure to those who wait. */
const untilDone = <A, R>(state: State, attempt: Effect.Effect<A, StorageError, R>): Effect.Effect<A, never, R> =>
  Effect.catch(
    attempt,
    (error) =>
      Effect.logError(`the memtable could not be written to a table, which is tried again: ${error.message}`).pipe(
        Effect.andThen(Effect.sync(() => state.flushes.end(error))),
        Effect.andThen(Effect.sleep(retryDelay)),
        Effect.andThen(Effect.suspend(() => untilDone(state, attempt)))
      )
  )
