/**
 * One store, the model beside it, and what is open on both: opened, closed, crashed and opened again.
 */
import { Data, Effect, Exit, Scope, Stream } from "effect"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import type { StorageError } from "../../src/disk/StorageError.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import * as CellModule from "../../src/domain/cell/Cell.ts"
import * as Follower from "../../src/simulation/Follower.ts"
import * as Engine from "../../src/storage/Engine.ts"
import * as FaultyDisk from "../storage/crashes/FaultyDisk.ts"
import * as compare from "./compare.ts"
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
  /** Whether tombstones may be gone, so that neither their presence nor their absence says anything. */
  readonly purges: boolean
  life: Life
  /** How often it was opened; each start takes the next of the settings. */
  starts: number
  snapshots: number
}

export type Subject = Effect.Success<ReturnType<typeof Engine.open>>

/** So small that it misses changes now and then. */
const followerLimits = { changesMax: 60 }

/** From one start of the store to its end. */
interface Life {
  readonly disk: FaultyDisk.FaultyDisk
  readonly subject: Subject
  readonly scope: Scope.Closeable
  /** Of every other life: what compaction does with tombstones depends on whether somebody follows. */
  readonly follower: Follower.Follower | undefined
  /** At which operation of the recovery after this life's crash the next one comes. */
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
    // What is cut short must not go on beside its successor.
    disk.kill()
    return Scope.close(scope, Exit.void)
  }))
  return { disk, subject, scope, follower, crashAgainAt: undefined }
})

/** Opens a snapshot beside the store, and reads what is in it. */
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

/** Opens the store after it died. `pending` are the calls it has not answered: of each all is there, or nothing. */
export const recover = Effect.fnUntraced(function*(run: Run, pending: ReadonlyArray<ReadonlyArray<Cell>>) {
  const { memory } = run
  const { crashAgainAt, disk, scope } = run.life
  const wasPowerOff = memory.isOff()
  // What was planned for a life that has ended otherwise is off, before a read that is under way comes upon it.
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

/** Whoever follows the store by its feed has the same. */
export const checkFollower = Effect.fnUntraced(function*({ life }: Run) {
  const problem = life.follower === undefined ? undefined : yield* life.follower.check
  if (problem !== undefined) return yield* new Mismatch({ problem: `the feed: ${problem}` })
})

/** The whole store equals the model, but for cells of calls that were not answered. */
export const checkAll = Effect.fnUntraced(function*(run: Run, pending: ReadonlyArray<ReadonlyArray<Cell>>) {
  const stored = new Map(
    (yield* Stream.runCollect(run.life.subject.scan())).map((cell) => [cell.key as string, cell])
  )
  for (const key of run.model.keys) {
    const found = stored.get(key)
    const expected = Model.get(run.model, key)
    const problem = compare.cells(expected, found, run.purges)
    const isPending = problem !== undefined && found !== undefined &&
      pending.some((call) => call.some((cell) => cell.key === key && compare.cells(cell, found, false) === undefined))
    const isNewer = isPending && (expected === undefined || CellModule.compare(found, expected) > 0)
    if (problem !== undefined && !isNewer) return yield* new Mismatch({ problem: `after a restart: ${problem}` })
  }
  const isKnown = (cell: Cell) => compare.cells(Model.get(run.model, cell.key), cell, false) === undefined
  for (const call of pending) {
    const others = pending.filter((other) => other !== call).flat()
    const problem = compare.allOrNothing(call, others, stored, isKnown, run.purges)
    if (problem !== undefined) return yield* new Mismatch({ problem })
  }
})
