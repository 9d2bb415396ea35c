/** A store and its model, through restarts and crashes. */
import { Data, Effect, Exit, Scope, Stream } from "effect"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import type { StorageError } from "../../src/disk/StorageError.ts"
import * as Follower from "../../src/simulation/Follower.ts"
import * as Engine from "../../src/storage/Engine.ts"
import * as FaultyDisk from "../storage/crashes/FaultyDisk.ts"
import * as Ledger from "../storage/crashes/Ledger.ts"
import * as Model from "./Model.ts"
import type { Settings } from "./Settings.ts"
import * as Slots from "./Slots.ts"

/** The engine does not do what the model does. */
export class Mismatch extends Data.TaggedError("Mismatch")<{ readonly problem: string }> {}

export interface Run {
  readonly memory: DiskMemory.DiskMemory
  readonly settings: Settings
  readonly model: Model.Model
  readonly slots: Slots.Slots
  /** The store may purge tombstones, so both their presence and their absence are right. */
  readonly purges: boolean
  life: Life
  /** Each start takes the next settings. */
  starts: number
  snapshots: number
}

export type Subject = Effect.Success<ReturnType<typeof Engine.open>>

/** So small that it misses some changes. */
const followerLimits = { changesMax: 60 }

/** From one start of the store to its end. */
interface Life {
  readonly disk: FaultyDisk.FaultyDisk
  readonly subject: Subject
  readonly scope: Scope.Closeable
  /** In every other life: compaction treats tombstones differently when there is a follower. */
  readonly follower: Follower.Follower | undefined
  /** The next crash comes at this operation of the recovery from this life's crash. */
  crashAgainAt: number | undefined
}

export const start = Effect.fnUntraced(function*(keys: ReadonlyArray<string>, settings: Settings, seed: number) {
  const memory = DiskMemory.make(seed)
  const run: Run = {
    memory,
    settings,
    model: Model.make(keys),
    slots: Slots.make(),
    purges: settings.engines[0]!.tombstones === "purge",
    life: yield* open(settings, 0, FaultyDisk.make(memory.disk)),
    starts: 1,
    snapshots: 0
  }
  return run
})

const open = Effect.fnUntraced(function*(
  { engines }: Settings,
  start: number,
  disk: FaultyDisk.FaultyDisk,
  directory = "data"
): Effect.fn.Return<Life, StorageError> {
  const scope = yield* Scope.make()
  const opened = Effect.gen(function*() {
    const subject = yield* Engine.open(disk.disk, { directory, ...engines[start % engines.length]! })
    return { subject, follower: start % 2 === 0 ? yield* Follower.start(subject, followerLimits) : undefined }
  })
  const { follower, subject } = yield* Scope.provide(opened, scope).pipe(Effect.onError(() => {
    // This life must not write beside the next one.
    disk.kill()
    return Scope.close(scope, Exit.void)
  }))
  return { disk, subject, scope, follower, crashAgainAt: undefined }
})

/** Reads a snapshot while the store is open. */
export const readSnapshot = Effect.fnUntraced(function*({ life, settings, starts }: Run, directory: string) {
  const { scope, subject } = yield* open(settings, starts, FaultyDisk.make(life.disk.disk), directory)
  return yield* Effect.ensuring(Stream.runCollect(subject.scan()), Scope.close(scope, Exit.void))
})

export const isDead = ({ life, memory }: Run): boolean => memory.isOff() || life.disk.isKilled()

export const restart = Effect.fnUntraced(function*(run: Run) {
  yield* Slots.closeAll(run.slots)
  yield* Scope.close(run.life.scope, Exit.void)
  if (isDead(run)) return yield* recover(run, [])
  run.life = yield* open(run.settings, run.starts++, FaultyDisk.make(run.memory.disk))
  yield* checkAll(run, [])
})

/** The crash comes at the n-th disk operation from now. */
export const crashAt = (run: Run, operation: number, kill: boolean, againAt: number | undefined): void => {
  run.life.crashAgainAt = againAt
  if (!kill) return run.memory.powerOffAt(operation)
  const at = run.life.disk.operations() + operation
  run.life.disk.setPlan(({ number }) => number >= at ? "killed" : undefined)
}

export const crash = (run: Run, kill: boolean, againAt: number | undefined) => {
  run.life.crashAgainAt = againAt
  if (kill) run.life.disk.kill()
  else run.memory.powerOff()
  return recover(run, [])
}

/** Opens the store after a crash. All cells of a pending call are there, or none. */
export const recover = Effect.fnUntraced(function*(run: Run, pending: ReadonlyArray<Ledger.Call>) {
  const { memory } = run
  const { crashAgainAt, disk, scope } = run.life
  const wasPowerOff = memory.isOff()
  // Cancels a crash that was planned for the old life, so that no read under way meets it.
  memory.powerOffAt(Number.POSITIVE_INFINITY)
  yield* Slots.closeAll(run.slots)
  disk.kill()
  yield* Scope.close(scope, Exit.void)
  if (wasPowerOff) memory.powerOn()
  else memory.release()
  if (crashAgainAt !== undefined) {
    const next = FaultyDisk.make(memory.disk)
    if (wasPowerOff) memory.powerOffAt(crashAgainAt)
    else next.setPlan(({ number }) => number >= crashAgainAt ? "killed" : undefined)
    const again = yield* Effect.exit(open(run.settings, run.starts++, next))
    if (Exit.isSuccess(again)) yield* Scope.close(again.value.scope, Exit.void)
    else if (!memory.isOff() && !next.isKilled()) return yield* again
    next.kill()
    if (wasPowerOff) {
      memory.powerOff()
      memory.powerOn()
    } else memory.release()
  }
  run.life = yield* open(run.settings, run.starts++, FaultyDisk.make(memory.disk))
  yield* checkAll(run, pending)
})

/** A follower of the feed has the same cells as the store. */
export const checkFollower = Effect.fnUntraced(function*({ life }: Run) {
  const problem = life.follower === undefined ? undefined : yield* life.follower.check
  if (problem !== undefined) return yield* new Mismatch({ problem: `the feed: ${problem}` })
})

/** The whole store equals the model, except for calls without an answer. */
export const checkAll = Effect.fnUntraced(function*(run: Run, pending: ReadonlyArray<Ledger.Call>) {
  const { model, purges } = run
  const scanned = yield* Stream.runCollect(run.life.subject.scan())
  const stored = new Map(scanned.map((cell) => [cell.key as string, cell]))
  const known = model.cells.filter((cell) => cell !== undefined)
  const acknowledged = new Map(known.map((cell) => [cell.key as string, cell]))
  const problem = Ledger.problem({ acknowledged, unanswered: pending.slice(), purges }, stored, true)
  if (problem !== undefined) return yield* new Mismatch({ problem: `after a restart: ${problem}` })
})
