import { assert, describe } from "@effect/vitest"
import { Effect, Exit } from "effect"
import type { Cell } from "../../../src/domain/cell/Cell.ts"
import { inVirtualTime } from "../../inVirtualTime.ts"
import * as FaultyDisk from "./FaultyDisk.ts"
import * as Trial from "./Trial.ts"
import { beforeRecovery, type Workload, workloads } from "./workloads.ts"

type How = "power off" | "killed"

const hows: ReadonlyArray<How> = ["power off", "killed"]

/** The seed decides how much a power failure takes; a killed process loses nothing. */
const seedsOf = (how: How) => how === "killed" ? [1] : [1, 2]

const arm = ({ life, memory }: Trial.Trial, how: How, at: number) => {
  if (how === "power off") return memory.powerOffAt(at)
  const from = life!.disk.operations() + at
  life!.disk.setPlan(({ number }) => number >= from ? "killed" : undefined)
}

/** Crashes a start at its n-th operation. */
const crashWhileOpening = Effect.fnUntraced(function*(trial: Trial.Trial, how: How, at: number) {
  const disk = FaultyDisk.make(trial.memory.disk)
  if (how === "power off") trial.memory.powerOffAt(at)
  else disk.setPlan(({ number }) => number >= at ? "killed" : undefined)
  const opened = yield* Effect.exit(Trial.open(trial, disk))
  yield* Trial.isTypedSuccess(opened)
  if (Exit.isSuccess(opened)) yield* Trial.idle(disk, trial.memory)
  const crashed = trial.memory.isOff() || disk.isKilled()
  yield* Trial.crash(trial, how)
  return crashed
})

/** A store that crashed at the n-th operation of the workload, or after the workload if that has fewer. */
const crashed = Effect.fnUntraced(function*(workload: Workload, how: How, at: number, seed: number) {
  const trial = yield* Trial.prepare(workload, seed)
  arm(trial, how, at)
  yield* Trial.runSteps(trial, workload.steps)
  const isCrashed = Trial.isDead(trial)
  if (!isCrashed) assert.deepStrictEqual(trial.ledger.unanswered, [], "refused without a crash")
  yield* Trial.crash(trial, how)
  return { trial, isCrashed }
})

describe("a crash at every single disk operation leaves what was acknowledged, nothing half, and no garbage", () => {
  for (const workload of workloads) {
    for (const how of hows) {
      inVirtualTime(`${how} during ${workload.name}`, function*() {
        for (const seed of seedsOf(how)) {
          for (let at = 1, isOver = false; !isOver; at++) {
            const number = seed * 1000 + at
            const { isCrashed, trial } = yield* crashed(workload, how, at, number)
            yield* Trial.assertSound(trial, `${how} at operation ${at} of ${workload.name}, seed ${number}`)
            isOver = !isCrashed
            if (isOver) assert.isAbove(at, workload.operationsMin)
          }
        }
      })
    }
  }

  for (const how of hows) {
    inVirtualTime(`${how} during recovery, and once more during the recovery after that`, function*() {
      for (const seed of seedsOf(how)) {
        let crashes = 0
        for (const first of [3, 17, 22, 31, 38]) {
          for (let second = 1, isCrashed = true; isCrashed; second++) {
            const third = 1 + (second * 5) % 17
            const number = seed * 1_000_000 + first * 1000 + second
            const { trial } = yield* crashed(beforeRecovery, how, first, number)
            isCrashed = yield* crashWhileOpening(trial, how, second)
            yield* crashWhileOpening(trial, how, third)
            yield* Trial.assertSound(trial, `${how} at ${first}, ${second} and ${third}, seed ${number}`)
            crashes++
          }
        }
        assert.isAtLeast(crashes, 50)
      }
    })
  }

  for (const fsync of ["interval", "never"] as const) {
    inVirtualTime(`with FSYNC=${fsync} a power failure takes the latest calls, but no part of one`, function*() {
      for (const { settings, ...workload } of workloads.slice(0, 2)) {
        const unsynced = { ...workload, settings: { ...settings, fsync } }
        const calls = [...workload.setup, ...workload.steps].flatMap((step) => typeof step === "string" ? [] : step)
        for (let at = 1, isOver = false; !isOver; at++) {
          const { isCrashed, trial } = yield* crashed(unsynced, "power off", at, at)
          const ledger = { ...trial.ledger, acknowledged: new Map<string, Cell>(), unanswered: calls.slice() }
          yield* Trial.assertSound({ ...trial, settings, ledger }, `${fsync}, operation ${at} of ${workload.name}`)
          isOver = !isCrashed
        }
      }
    })
  }
})
