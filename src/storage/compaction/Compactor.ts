/**
 * Merges tables in the background, one merge at a time, for as long as the store is open.
 */
import { Effect, type Scope } from "effect"
import * as Metrics from "../../observability/Metrics.ts"
import type { Disk } from "../Disk.ts"
import * as lookUp from "../sstable/lookUp.ts"
import * as Table from "../sstable/Table.ts"
import { install, type State } from "../State.ts"
import type { StorageError } from "../StorageError.ts"
import { mergeTables } from "./mergeTables.ts"
import { pick } from "./pick.ts"

/** How long a failed merge waits: it is not urgent, and what stood in its way may need a person. */
const retryDelay = "5 seconds"

/** How long a manifest that could not be written waits. */
const installRetryDelay = "1 second"

/** Begins with what an earlier run, ended by a defect, left undone. */
export const run = (state: State, scope: Scope.Scope): Effect.Effect<never> =>
  Effect.andThen(
    state.compactionWanted.open,
    Effect.forever(Effect.gen(function*() {
      yield* state.compactionWanted.await
      yield* state.compactionWanted.close
      yield* Effect.catch(compactAll(state, scope), (error) =>
        Effect.logError(`compaction failed and is tried again: ${error.message}`).pipe(
          Effect.andThen(Effect.sleep(retryDelay)),
          Effect.andThen(state.compactionWanted.open)
        ))
    }))
  )

const compactAll = Effect.fnUntraced(function*(state: State, scope: Scope.Scope) {
  for (let chosen = choose(state); chosen.length > 0; chosen = choose(state)) {
    yield* Metrics.timed(compact(state, scope, chosen), Metrics.compacted)
  }
})

const choose = ({ settings, tables }: State): ReadonlyArray<Table.Table> =>
  pick(
    tables.map((table) => ({ table, sizeBytes: table.index.properties.sizeBytes })),
    settings.memtableBytesMax / 4
  ).map(({ table }) => table)

const compact = Effect.fnUntraced(function*(state: State, scope: Scope.Scope, old: ReadonlyArray<Table.Table>) {
  const { cache, disk, settings: { directory } } = state
  const id = state.nextFile++
  yield* mergeTables(disk, directory, id, old)
  const merged = yield* Table.open(disk, cache, directory, id)
  const dropped = new Set(old)
  const installed = install(
    state,
    (tables) => lookUp.byCounter([...tables.filter((table) => !dropped.has(table)), merged]),
    () => (state.flushing ?? state.active).firstLog,
    (tables) => {
      state.tables = tables
      state.compactions++
    }
  )
  yield* untilDone(installed)
  for (const table of old) yield* Effect.forkIn(removeWhenFree(disk, directory, table), scope)
})

const untilDone = (installed: Effect.Effect<void, StorageError>): Effect.Effect<void> =>
  Effect.catch(
    installed,
    (error) =>
      Effect.logError(`the manifest could not be written, which is tried again: ${error.message}`).pipe(
        Effect.andThen(Effect.sleep(installRetryDelay)),
        Effect.andThen(Effect.suspend(() => untilDone(installed)))
      )
  )

/** The names need no sync: what comes back after a crash is not in the manifest and removed at the next start. */
const removeWhenFree = (disk: Disk["Service"], directory: string, table: Table.Table) =>
  Effect.callback<void>((resume) => table.retire(() => resume(Effect.void))).pipe(
    Effect.andThen(table.close),
    Effect.andThen(disk.remove(Table.dataPath(directory, table.id))),
    Effect.andThen(disk.remove(Table.indexPath(directory, table.id))),
    Effect.ignore
  )
