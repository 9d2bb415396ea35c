import { assert, describe } from "@effect/vitest"
import { Effect, Exit } from "effect"
import type { Key } from "../../../src/domain/Key.ts"
import { inVirtualTime } from "../../inVirtualTime.ts"
import * as compare from "../../metamorphic/compare.ts"
import { cell } from "../store.ts"
import * as FaultyDisk from "./FaultyDisk.ts"
import * as Trial from "./Trial.ts"
import { beforeRecovery, type Step, type Workload, workloads } from "./workloads.ts"

interface Disturbance {
  readonly name: string
  readonly fault: FaultyDisk.Fault
  /** How many operations fail, from the n-th on. */
  readonly count: number
}

const disturbances: ReadonlyArray<Disturbance> = [
  { name: "fails", fault: "EIO", count: 1 },
  { name: "and eight more fail", fault: "EIO", count: 9 },
  { name: "and all after it fail until the disk is mended", fault: "EIO", count: Number.POSITIVE_INFINITY },
  {
    name: "finds the disk full, as do all after it until there is space",
    fault: "full",
    count: Number.POSITIVE_INFINITY
  }
]

const arm = (disk: FaultyDisk.FaultyDisk, { count, fault }: Disturbance, at: number) => {
  const from = disk.operations() + at
  disk.setPlan(({ number }) => number >= from && number < from + count ? fault : undefined)
}

/** Acknowledged cells can be read; a read fails only if one of its disk operations failed. */
const readAll = Effect.fnUntraced(function*({ ledger, life }: Trial.Trial, where: string) {
  const { disk, storage } = life!
  for (const [key, expected] of ledger.acknowledged) {
    const failures = disk.failed().length
    const exit = yield* Effect.exit(storage.get(key as Key))
    if (yield* Trial.isTypedSuccess(exit)) {
      const problem = compare.cells(expected, Exit.getSuccess(exit).valueOrUndefined, ledger.purges)
      if (problem !== undefined) assert.fail(`${where}: ${problem}`)
    } else if (disk.failed().length === failures) assert.fail(`${where}: ${key} is not served: ${String(exit)}`)
  }
})

/** The error says that the disk is full, or that it failed, and never reports damage. */
const takeDisturbed = Effect.fnUntraced(function*(
  trial: Trial.Trial,
  step: Step,
  { fault }: Disturbance,
  where: string
) {
  yield* Trial.take(trial, step)
  const expected = fault === "full" ? "DiskFull" : "DiskError"
  const other = trial.refusals.find(({ _tag }) => _tag !== expected)
  if (other !== undefined) assert.fail(`${where}: ${JSON.stringify(step)} says ${other.message}`)
  yield* readAll(trial, where)
})

/** The store notices without a write that the fault is gone. */
const recoversByItself = Effect.fnUntraced(function*({ life }: Trial.Trial, where: string) {
  for (let second = 0; second < 60; second++) {
    if ((yield* life!.storage.stats).refusing === undefined) return
    yield* Effect.sleep("1 second")
    for (let turn = 0; turn < 6; turn++) yield* Effect.yieldNow
  }
  assert.fail(`${where}: it refuses writes a minute after the fault`)
})

const afterwards: ReadonlyArray<Step> = [[[cell("a", 90_000), cell("new", 90_001)], [cell("b", 90_002)]]]

/** Hides losses of the log from the power failure: `afterwards` shows those. */
const flushed: ReadonlyArray<Step> = [...afterwards, "flush", "idle"]

/** Returns whether the workload has an n-th operation. */
const failAt = Effect.fnUntraced(function*(
  workload: Workload,
  disturbance: Disturbance,
  at: number,
  last: ReadonlyArray<Step>
) {
  const where = `operation ${at} of ${workload.name} ${disturbance.name}`
  const trial = yield* Trial.prepare(workload, at)
  const { disk, storage } = trial.life!
  arm(disk, disturbance, at)
  for (const step of workload.steps) yield* takeDisturbed(trial, step, disturbance, where)
  disk.setPlan(() => undefined)
  yield* recoversByItself(trial, where)
  yield* readAll(trial, where)
  for (const step of last) {
    if (!(yield* Trial.take(trial, step))) assert.fail(`${where}: ${JSON.stringify(step)} fails afterwards`)
  }
  assert.isUndefined((yield* storage.stats).damage, where)
  yield* readAll(trial, where)
  yield* Trial.crash(trial, "power off")
  yield* Trial.assertSound(trial, where)
  return disk.failed().length > 0
})

const failEverywhere = Effect.fnUntraced(function*(workload: Workload, disturbance: Disturbance) {
  for (let at = 1;; at++) {
    const isHit = yield* failAt(workload, disturbance, at, at % 2 === 0 ? afterwards : flushed)
    if (!isHit) return at - 1
    if (disturbance.count === 1) yield* failAt(workload, disturbance, at, at % 2 === 0 ? flushed : afterwards)
  }
})

describe("a disk operation that fails is a typed error and no more: reads go on, and the store recovers by itself", () => {
  for (const workload of workloads) {
    for (const disturbance of disturbances) {
      inVirtualTime(`each operation of ${workload.name} ${disturbance.name}`, function*() {
        const operations = yield* failEverywhere(workload, disturbance)
        assert.isAtLeast(operations, disturbance.fault === "full" ? 5 : workload.operationsMin)
      })
    }
  }

  for (const disturbance of disturbances) {
    inVirtualTime(`each operation of a recovery ${disturbance.name}`, function*() {
      let operations = 0
      for (const first of [5, 17, 22, 31, 38]) {
        for (let at = 1, isHit = true; isHit; at++) {
          const where = `crash at ${first}, then operation ${at} ${disturbance.name}`
          const trial = yield* Trial.prepare(beforeRecovery, first * 1000 + at)
          trial.memory.powerOffAt(first)
          yield* Trial.runSteps(trial, beforeRecovery.steps)
          yield* Trial.crash(trial, "power off")
          const disk = FaultyDisk.make(trial.memory.disk)
          arm(disk, disturbance, at)
          const opened = yield* Trial.isTypedSuccess(yield* Effect.exit(Trial.open(trial, disk)))
          if (opened) {
            yield* readAll(trial, where)
            yield* Trial.idle(disk, trial.memory)
            disk.setPlan(() => undefined)
            yield* recoversByItself(trial, where)
            yield* Trial.close(trial)
          }
          yield* Trial.assertSound(trial, where)
          isHit = disk.failed().length > 0
          operations++
        }
      }
      assert.isAtLeast(operations, disturbance.fault === "full" ? 5 : 40)
    })
  }
})
