/**
 * A store on a disk in memory, through several starts, and a ledger of its calls: for tests that disturb a workload at
 * each of its disk operations.
 */
import { assert } from "@effect/vitest"
import { Cause, Effect, Exit, Logger, Schema, Scope, Stream } from "effect"
import * as DiskMemory from "../../../src/disk/DiskMemory.ts"
import { StorageError } from "../../../src/disk/StorageError.ts"
import * as Bytes from "../../../src/domain/bytes.ts"
import type { Cell } from "../../../src/domain/cell/Cell.ts"
import type { Key } from "../../../src/domain/Key.ts"
import * as Engine from "../../../src/storage/Engine.ts"
import type { Storage } from "../../../src/storage/Storage.ts"
import * as compare from "../../metamorphic/compare.ts"
import { cell } from "../store.ts"
import * as FaultyDisk from "./FaultyDisk.ts"
import { orGiveUp } from "./giveUp.ts"
import * as Ledger from "./Ledger.ts"
import type { Step, Workload } from "./workloads.ts"

export interface Trial {
  readonly memory: DiskMemory.DiskMemory
  readonly settings: Partial<Engine.Options>
  readonly ledger: Ledger.Ledger
  readonly snapshots: Array<Snapshot>
  readonly refusals: Array<StorageError>
  /** Defects that the background work logged: there must be none. */
  readonly defects: Array<string>
  life: Life | undefined
}

interface Snapshot {
  readonly directory: string
  /** It holds the cells acknowledged by the time of the call, and no others. */
  readonly ledger: Ledger.Ledger
  readonly isAcknowledged: boolean
}

interface Life {
  readonly disk: FaultyDisk.FaultyDisk
  readonly storage: Storage["Service"]
  readonly scope: Scope.Closeable
}

export const make = (settings: Partial<Engine.Options>, seed: number): Trial => ({
  memory: DiskMemory.make(seed),
  settings,
  ledger: Ledger.make(settings),
  snapshots: [],
  refusals: [],
  defects: [],
  life: undefined
})

export const directory = "data"

/** May fail like every other operation. */
export const open = Effect.fnUntraced(function*(trial: Trial, disk = FaultyDisk.make(trial.memory.disk)) {
  const scope = yield* Scope.make()
  const logger = Logger.layer([
    Logger.make(({ message }) => {
      if (/died of a defect/.test(String(message))) trial.defects.push(String(message))
    })
  ])
  const opening = Engine.open(disk.disk, {
    directory,
    fsync: "always",
    memtableBytesMax: 1024 * 1024,
    blockCacheBytesMax: 2000,
    ...trial.settings
  }).pipe(Scope.provide(scope), Effect.provide(logger))
  const storage = yield* Effect.onError(opening, () => Scope.close(scope, Exit.void))
  trial.life = { disk, storage, scope }
  return trial.life
})

export const isDead = ({ life, memory }: Trial): boolean => memory.isOff() || life?.disk.isKilled() === true

/** The process is killed, and the power fails, too, or does not. */
export const crash = Effect.fnUntraced(function*(trial: Trial, how: "power off" | "killed") {
  const { life, memory } = trial
  if (how === "power off") memory.powerOff()
  life?.disk.kill()
  if (life !== undefined) yield* Scope.close(life.scope, Exit.void)
  trial.life = undefined
  if (how === "power off") memory.powerOn()
  else memory.release()
  memory.powerOffAt(Number.POSITIVE_INFINITY)
})

export const close = Effect.fnUntraced(function*(trial: Trial) {
  const { life } = trial
  trial.life = undefined
  if (life !== undefined) yield* Scope.close(life.scope, Exit.void)
})

/** A step may fail only with an error that the interface declares. */
export const take = Effect.fnUntraced(function*(trial: Trial, step: Step) {
  const { ledger, life, memory, refusals } = trial
  const { disk, storage } = life!
  if (step === "idle") {
    yield* idle(disk, memory)
    return true
  }
  if (step === "snapshot") return yield* takeSnapshot(trial)
  if (step === "flush" || step === "compact") {
    const isOver = () => memory.isOff() || disk.isKilled()
    return yield* isTypedSuccess(yield* Effect.exit(orGiveUp(storage[step], isOver)), refusals)
  }
  const exits = yield* Effect.all(step.map((call) => Effect.exit(storage.apply(call))), { concurrency: "unbounded" })
  let succeeded = true
  for (const [index, call] of step.entries()) {
    const isAcknowledged = yield* isTypedSuccess(exits[index]!, refusals)
    Ledger.settle(ledger, call, isAcknowledged)
    succeeded &&= isAcknowledged
  }
  return succeeded
})

const takeSnapshot = Effect.fnUntraced(function*({ ledger, life, refusals, snapshots }: Trial) {
  const directory = `snapshots/${snapshots.length + 1}`
  // Failed calls are not in the memtable that becomes the last table of the snapshot.
  const asked: Ledger.Ledger = { ...ledger, acknowledged: new Map(ledger.acknowledged), unanswered: [] }
  const exit = yield* Effect.exit(life!.storage.snapshot(directory))
  const isAcknowledged = yield* isTypedSuccess(exit, refusals)
  snapshots.push({ directory, ledger: asked, isAcknowledged })
  return isAcknowledged
})

/** A directory with a manifest is a complete snapshot; an acknowledged one has a manifest. */
const snapshotProblem = Effect.fnUntraced(function*(trial: Trial, { directory, isAcknowledged, ledger }: Snapshot) {
  if (!trial.memory.files().has(`${directory}/MANIFEST`)) {
    return isAcknowledged ? `${directory} was answered for and is no snapshot` : undefined
  }
  const copy: Trial = { ...trial, settings: { ...trial.settings, directory }, ledger }
  yield* open(copy)
  const problem = Ledger.problem(ledger, yield* read(copy), false)
  yield* close(copy)
  return problem === undefined ? undefined : `${directory}: ${problem}`
})

const isDeclared = Schema.is(StorageError)

/** Adds errors to `refusals`, and dies of a defect. */
export const isTypedSuccess = Effect.fnUntraced(function*(
  exit: Exit.Exit<unknown, unknown>,
  refusals: Array<StorageError> = []
) {
  if (Exit.isSuccess(exit)) return true
  for (const reason of exit.cause.reasons) {
    const error = Cause.isFailReason(reason) ? reason.error : undefined
    if (!isDeclared(error)) return yield* Effect.die(new Error(`not a StorageError: ${Cause.pretty(exit.cause)}`))
    refusals.push(error)
  }
  return false
})

/** A bound, because a failing disk causes retries without end. */
const idleSecondsMax = 40

/** Longer than the pause before a retry. */
const quietSeconds = 6

/** Waits until the store has begun no disk operation for some seconds. */
export const idle = Effect.fnUntraced(function*(disk: FaultyDisk.FaultyDisk, memory: DiskMemory.DiskMemory) {
  let quiet = 0
  let before = -1
  for (
    let second = 0;
    second < idleSecondsMax && quiet < quietSeconds && !memory.isOff() && !disk.isKilled();
    second++
  ) {
    for (let turn = 0; turn < 6; turn++) yield* Effect.yieldNow
    yield* Effect.sleep("1 second")
    const now = disk.operations()
    quiet = now === before ? quiet + 1 : 0
    before = now
  }
})

export const runSteps = Effect.fnUntraced(function*(trial: Trial, steps: ReadonlyArray<Step>) {
  for (const step of steps) {
    if (!(yield* take(trial, step))) return false
  }
  return true
})

/** All cells of the store, by scans in both directions and by look-ups. */
export const read = Effect.fnUntraced(function*({ ledger, life }: Trial) {
  const { storage } = life!
  const scanned = yield* Stream.runCollect(storage.scan())
  const stored = new Map(scanned.map((one) => [one.key as string, one]))
  const backward = yield* Stream.runCollect(storage.scan({ reverse: true }))
  const isMirrored = backward.length === scanned.length &&
    backward.every((one, place) => compare.cells(scanned.at(-1 - place), one, false) === undefined)
  if (!isMirrored) return yield* Effect.die(new Error("the scans in both directions disagree"))
  for (const key of ledger.acknowledged.keys()) {
    const found = yield* storage.get(key as Key)
    const problem = compare.cells(stored.get(key), found, ledger.purges)
    if (problem !== undefined) return yield* Effect.die(new Error(`a scan and a look-up disagree: ${problem}`))
  }
  return stored as ReadonlyMap<string, Cell>
})

/** Opens the store after a disturbance, and checks all promises. */
const examine = Effect.fnUntraced(function*(trial: Trial) {
  yield* open(trial)
  const stored = yield* read(trial)
  const problem = Ledger.problem(trial.ledger, stored, true)
  if (problem !== undefined) return problem
  // All cells that it has now must stay.
  for (const one of stored.values()) trial.ledger.acknowledged.set(one.key, one)
  trial.ledger.unanswered.length = 0
  if (!(yield* take(trial, [[cell("a", 100_001), cell("afterwards", 100_002)]]))) return "it refuses writes"
  yield* crash(trial, "power off")
  yield* open(trial)
  const lost = Ledger.problem(trial.ledger, yield* read(trial), false)
  if (lost !== undefined) return `after a power failure: ${lost}`
  if (!(yield* take(trial, "flush"))) return "it does not flush"
  yield* idle(trial.life!.disk, trial.memory)
  const leaked = leaks(trial.memory)
  if (leaked.length > 0) return `files that nobody accounts for: ${leaked.join(", ")}`
  yield* close(trial)
  yield* open(trial)
  const again = Ledger.problem(trial.ledger, yield* read(trial), false)
  const { damage, holes } = yield* trial.life!.storage.stats
  if (damage !== undefined || holes.length > 0) return "it takes what a crash left for damage"
  yield* close(trial)
  for (const snapshot of trial.snapshots) {
    const spoilt = yield* snapshotProblem(trial, snapshot)
    if (spoilt !== undefined) return spoilt
  }
  return trial.defects[0] ?? again
})

export const assertSound = Effect.fnUntraced(function*(trial: Trial, where: string) {
  const problem = yield* Effect.catchCause(examine(trial), (cause) => Effect.succeed(Cause.pretty(cause)))
  if (problem !== undefined) assert.fail(`${where}: ${problem}`)
})

/** Files that the manifest does not name, after a flush, when there is no log. */
const leaks = (memory: DiskMemory.DiskMemory): ReadonlyArray<string> => {
  const files = memory.files()
  const lines = Bytes.utf8(files.get(`${directory}/MANIFEST`)!).trim().split("\n")
  const numbers = lines.flatMap((line) => {
    const { table, tables } = JSON.parse(line) as { readonly table?: number; readonly tables?: ReadonlyArray<number> }
    return table === undefined ? tables ?? [] : [table]
  })
  const known = new Set(numbers.flatMap((number) => {
    const name = String(number).padStart(6, "0")
    return [`${directory}/${name}.sst`, `${directory}/${name}.idx`]
  }))
  known.add(`${directory}/MANIFEST`)
  return Array.from(files.keys()).filter((path) => path.startsWith(`${directory}/`) && !known.has(path))
}

/** A store after the setup of a workload. */
export const prepare = Effect.fnUntraced(function*({ settings, setup }: Workload, seed: number) {
  const trial = make(settings, seed)
  yield* open(trial)
  if (!(yield* runSteps(trial, setup))) return yield* Effect.die(new Error("the setup fails"))
  return trial
})
