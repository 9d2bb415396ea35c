/**
 * Merges tables in the background, one merge at a time, for as long as the store is open.
 *
 * Invariants
 * - A table's files are removed only when a manifest without it is durable and nobody reads it.
 */
import { Effect, type Scope } from "effect"
import type { Disk } from "../../disk/Disk.ts"
import type { StorageError } from "../../disk/StorageError.ts"
import { timed } from "../../observability/Metrics.ts"
import * as assertions from "../assertions.ts"
import * as Levels from "../Levels.ts"
import type { Hole } from "../manifest/Holes.ts"
import type * as Table from "../sstable/Table.ts"
import * as TableWriter from "../sstable/TableWriter.ts"
import type { State } from "../State.ts"
import * as leaveOut from "./leaveOut.ts"
import * as mergeTables from "./mergeTables.ts"
import { type Compaction, overlapping, pick } from "./pick.ts"

/** How long a failed merge waits: it is not urgent, and what stood in its way may need a person. */
const retryDelay = "5 seconds"

/** How long a manifest that could not be written waits. */
const installRetryDelay = "1 second"

/** So a store of any size is in a few hundred tables, or some more: each keeps its index in memory. */
const tablesAtMost = 256

/** Begins with what an earlier run, ended by a defect, left undone. */
export const run = (state: State, scope: Scope.Scope): Effect.Effect<never> =>
  Effect.andThen(
    Effect.sync(() => state.compactions.wake()),
    Effect.forever(
      Effect.gen(function*() {
        yield* state.compactions.awaitWork
        yield* Effect.catch(compactAll(state, scope), (error) =>
          Effect.logError(`compaction failed and is tried again: ${error.message}`).pipe(
            Effect.andThen(Effect.sync(() =>
              state.compactions.refuse(error)
            )),
            Effect.andThen(Effect.sleep(retryDelay)),
            Effect.andThen(Effect.sync(() => state.compactions.wake()))
          ))
      }).pipe(
        assertions.onBroken(Effect.sync(() => {
          state.compactions.refuse(assertions.refusal("compact", state.settings.directory))
        }))
      )
    )
  )

const compactAll = Effect.fnUntraced(function*(state: State, scope: Scope.Scope) {
  for (let chosen = choose(state); chosen !== undefined; chosen = choose(state)) {
    if (chosen.answers) state.compactions.begin()
    yield* timed(chosen.isMove ? move(state, chosen) : compact(state, scope, chosen), state.metrics.compacted)
    if (chosen.answers) state.compactions.complete()
  }
})

interface Chosen extends Compaction<Table.Table> {
  /** Whether somebody asked for it and waits. */
  readonly answers: boolean
}

const choose = (state: State): Chosen | undefined => {
  const { settings, tables: { levels } } = state
  if (state.compactions.isRequested()) {
    const upper = levels.slice(0, Levels.levelLast).flat()
    return { upper, lower: levels[Levels.levelLast]!, target: Levels.levelLast, isMove: false, answers: true }
  }
  const damaged = damagedTable(levels)
  if (damaged !== undefined) return { ...damaged, lower: [], isMove: false, answers: false }
  const picked = pick(levels, settings)
  return picked === undefined ? undefined : { ...picked, answers: false }
}

/**
 * It is rewritten on its level without the damaged blocks, which become holes that other replicas can fill. Not while
 * the disk refuses others of its blocks: the rewrite would fail again and again, and no other merge would run.
 */
const damagedTable = (levels: Levels.Levels) => {
  for (let target = 0; target < levels.length; target++) {
    const table = levels[target]!.find(({ damaged, failing }) => damaged.size > 0 && failing() === undefined)
    if (table !== undefined) return { upper: [table], target }
  }
  return undefined
}

const move = (state: State, { target, upper }: Compaction<Table.Table>) =>
  untilDone(
    state,
    state.tables.install(
      (now) => ({ ...now, levels: Levels.replace(now.levels, new Set(upper), upper, target) }),
      () => state.figures.countCompaction(0)
    )
  )

const compact = Effect.fnUntraced(function*(
  state: State,
  scope: Scope.Scope,
  { lower, target, upper }: Compaction<Table.Table>
) {
  const { disk, settings, tables } = state
  const { holes: holesBefore, levels } = tables
  const old = [...upper, ...lower]
  const options: mergeTables.Options = {
    ...settings,
    disk,
    nextId: () => tables.takeFile(),
    tableBytes: Math.max(settings.tableBytes, Levels.bytesOf(Levels.all(levels)) / tablesAtMost)
  }
  // A tombstone may be all that answers for its key where cells were lost.
  const purges = settings.tombstones === "purge" && holesBefore.length === 0 && isLowest(levels, old, target)
  const runs = runsOf(levels, old)
  const { holes, ids } = yield* purges ? purge(state, runs, options) : mergeTables.mergeTables(runs, options)
  const discard = mergeTables.removeAll(options, ids)
  const merged = yield* Effect.forEach(ids, (id) => tables.open(state.context, id)).pipe(
    Effect.tap((all) => assertions.holds("a compaction", assertions.ofMerge(old, all, purges || holes.length > 0))),
    Effect.onError(() => discard)
  )
  yield* untilDone(
    state,
    tables.install(
      (now) => ({
        ...now,
        levels: Levels.replace(now.levels, new Set(old), merged, target),
        holes: [...now.holes, ...holes]
      }),
      () => {
        state.figures.countCompaction(Levels.bytesOf(merged))
        state.memtables.purged()
        state.memtables.lost(holes)
      }
    )
  ).pipe(assertions.onBroken(discard))
  yield* reportLost(holes)
  const removed = Effect.forEach(old, (table) => removeWhenFree(disk, settings.directory, table, scope))
  yield* Effect.uninterruptible(removed)
}, (compacted, { memtables }) => Effect.scoped(Effect.ensuring(compacted, Effect.sync(() => memtables.dropPurge()))))

/** If damage is found while merging, merge again and keep the tombstones: one may hide a lost cell. */
const purge = Effect.fnUntraced(
  function*(state: State, runs: ReadonlyArray<ReadonlyArray<Table.Table>>, options: mergeTables.Options) {
    const leavesOut = leaveOut.rule(state, runs.flat())
    const merged = yield* mergeTables.mergeTables(runs, { ...options, leavesOut })
    if (merged.holes.length === 0) return merged
    state.memtables.dropPurge()
    yield* mergeTables.removeAll(options, merged.ids)
    return yield* mergeTables.mergeTables(runs, options)
  }
)

/** Each table of level 0 by itself, and what is chosen of the other levels as runs. */
const runsOf = (levels: Levels.Levels, chosen: ReadonlyArray<Table.Table>) => {
  const isChosen = new Set(chosen)
  return Levels.runs(levels.map((tables) => tables.filter((table) => isChosen.has(table))))
}

/** Whether no table that is not merged can hold anything older of the same keys. */
const isLowest = (levels: Levels.Levels, merged: ReadonlyArray<Table.Table>, target: number): boolean => {
  const isMerged = new Set(merged)
  return levels.every((tables, level) => {
    // Upper levels are newer. A merge takes all of level 0, unless it rewrites one of its tables in place.
    if (level < target) return true
    const others = tables.filter((table) => !isMerged.has(table))
    return merged.every((table) => overlapping(others, table).length === 0)
  })
}

const reportLost = (holes: ReadonlyArray<Hole>) =>
  Effect.forEach(holes, ({ file, from, offsetBytes, to }) =>
    Effect.logError(
      `cells from ${JSON.stringify(from)} up to ${JSON.stringify(to)} are lost here: ${file} is damaged at ` +
        `byte ${offsetBytes}. They are asked of other replicas`
    ), { discard: true })

/** Callers that wait for the compaction get the first failure and do not wait for the end. */
const untilDone = (state: State, installed: Effect.Effect<void, StorageError>): Effect.Effect<void> =>
  Effect.catch(
    installed,
    (error) =>
      Effect.logError(`the manifest could not be written, which is tried again: ${error.message}`).pipe(
        Effect.andThen(Effect.sync(() => state.compactions.refuse(error))),
        Effect.andThen(Effect.sleep(installRetryDelay)),
        Effect.andThen(Effect.suspend(() => untilDone(state, installed)))
      )
  )

/**
 * At once when nobody reads the table, and later otherwise. The names need no sync: what comes back after a crash is
 * not in the manifest and removed at the next start.
 */
const removeWhenFree = (disk: Disk["Service"], directory: string, table: Table.Table, scope: Scope.Scope) =>
  Effect.suspend(() => {
    const remove = Effect.uninterruptible(Effect.andThen(table.close, TableWriter.remove(disk, directory, table.id)))
    let isFree = false
    let whenFree = () => {
      isFree = true
    }
    table.retire(() => whenFree())
    if (isFree) return remove
    const freed = Effect.callback<void>((resume) => {
      whenFree = () => {
        // The fiber ends with the store, and a view may hold the table for longer.
        Effect.runFork(table.close)
        resume(Effect.void)
      }
    })
    return Effect.asVoid(Effect.forkIn(Effect.andThen(freed, remove), scope, { startImmediately: true }))
  })
