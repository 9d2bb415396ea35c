import { assert, describe } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { inVirtualTime } from "../../inVirtualTime.ts"
import * as FaultyDisk from "./FaultyDisk.ts"
import * as Trial from "./Trial.ts"
import { beforeRecovery, type Workload, workloads } from "./workloads.ts"

type How = "power off" | "killed"

const hows: ReadonlyArray<How> = ["power off", "killed"]

/** How much a crash takes away is drawn from the seed; of a killed process nothing is lost. */
const seedsOf = (how: How) => how === "killed" ? [1] : [1, 2]

const arm = ({ life, memory }: Trial.Trial, how: How, at: number) => {
  if (how === "power off") return memory.powerOffAt(at)
  const from = life!.disk.operations() + at
  life!.disk.setPlan(({ number }) => number >= from ? "killed" : undefined)
}

/** The n-th operation of a start that comes to nothing. */
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

const examined = Effect.fnUntraced(function*(trial: Trial.Trial, where: string) {
  const problem = yield* Trial.examine(trial).pipe(
    Effect.catchCause((cause) => Effect.succeed(String(cause)))
  )
  if (problem !== undefined) assert.fail(`${where}: ${problem}`)
})

const crashEverywhere = Effect.fnUntraced(function*(workload: Workload, how: How, seed: number) {
  for (let at = 1;; at++) {
    const where = `${how} at operation ${at} of ${workload.name}, seed ${seed * 1000 + at}`
    const trial = yield* Trial.prepare(workload, seed * 1000 + at)
    arm(trial, how, at)
    yield* Trial.runSteps(trial, workload.steps)
    const crashed = Trial.isDead(trial)
    if (!crashed && trial.ledger.unanswered.length > 0) assert.fail(`${where}: refused without a crash`)
    yield* Trial.crash(trial, how)
    yield* examined(trial, where)
    if (!crashed) return at - 1
  }
})

describe("a crash at every single disk operation leaves what was acknowledged, nothing half, and no garbage", () => {
  for (const workload of workloads) {
    for (const how of hows) {
      inVirtualTime(`${how} during ${workload.name}`, () =>
        Effect.gen(function*() {
          for (const seed of seedsOf(how)) {
            const operations = yield* crashEverywhere(workload, how, seed)
            assert.isAtLeast(operations, workload.operationsMin)
          }
        }))
    }
  }

  for (const how of hows) {
    inVirtualTime(`${how} during recovery, and once more during the recovery after that`, () =>
      Effect.gen(function*() {
        const workload = beforeRecovery()
        for (const seed of seedsOf(how)) {
          let crashes = 0
          // Where the store died first decides what its next start finds.
          for (const first of [3, 17, 22, 31, 38]) {
            for (let second = 1, crashed = true; crashed; second++) {
              const third = 1 + (second * 5) % 17
              const number = seed * 1_000_000 + first * 1000 + second
              const trial = yield* Trial.prepare(workload, number)
              arm(trial, how, first)
              yield* Trial.runSteps(trial, workload.steps)
              assert.isTrue(Trial.isDead(trial), `the workload has ${first} operations`)
              yield* Trial.crash(trial, how)
              crashed = yield* crashWhileOpening(trial, how, second)
              yield* crashWhileOpening(trial, how, third)
              yield* examined(trial, `${how} at ${first}, ${second} and ${third}, seed ${number}`)
              crashes++
            }
          }
          assert.isAtLeast(crashes, 50)
        }
      }))
  }
})
