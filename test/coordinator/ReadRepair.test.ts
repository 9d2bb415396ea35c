import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Attempts from "../../src/coordinator/Attempts.ts"
import type { ReadQuorumNotReached } from "../../src/coordinator/CoordinatorError.ts"
import * as Deadlines from "../../src/coordinator/Deadlines.ts"
import type { Answer } from "../../src/coordinator/quorum.ts"
import * as ReadRepair from "../../src/coordinator/ReadRepair.ts"
import { resolve } from "../../src/coordinator/resolution.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import type { NodeId } from "../../src/domain/NodeId.ts"
import type { ReadAnswer, WriteAnswer } from "../../src/peer/PeerClient.ts"
import type { PeerFailed } from "../../src/peer/PeerError.ts"
import type { Replicator } from "../../src/replicator/Replicator.ts"
import { mock } from "../replicator/fakes.ts"
import { a, b, c, cellOf, d, failedBy, key, type Request, request, settle, version } from "./requests.ts"

const accepted: WriteAnswer = { _tag: "Accepted", replaced: false }

const full = (node: NodeId, cell: Cell): Answer<ReadAnswer> => ({ node, answer: { version: cell.version, cell } })
const versionOnly = (node: NodeId, counter: number): Answer<ReadAnswer> => ({
  node,
  answer: { version: version(counter), cell: undefined }
})
const absent = (node: NodeId): Answer<ReadAnswer> => ({ node, answer: { version: undefined, cell: undefined } })

/** A repair after these answers, with four replicas whose repairs and reads the test answers by hand. */
const repairing = Effect.fnUntraced(function*(
  answers: ReadonlyArray<Answer<ReadAnswer>>,
  options?: { readonly others?: ReadonlyArray<NodeId>; readonly wanted?: number }
) {
  const repairs = new Map<NodeId, Request<WriteAnswer, PeerFailed>>()
  const reads = new Map<NodeId, Request<ReadAnswer, PeerFailed>>()
  for (const node of [a, b, c, d]) {
    repairs.set(node, request())
    reads.set(node, request())
  }
  const deadlines = yield* Deadlines.make
  const sent: Array<readonly [node: NodeId, cell: Cell]> = []
  const replicator = mock<Replicator["Service"]>({
    repair: (node, cell) =>
      Effect.suspend(() => {
        sent.push([node, cell])
        return repairs.get(node)!.effect
      }),
    read: (node, asked) => {
      assert.deepStrictEqual(asked, { key, full: true })
      return reads.get(node)!.effect
    }
  })
  const fiber = yield* Effect.forkChild(ReadRepair.repair({
    attempts: yield* Attempts.make(deadlines),
    replicator,
    key,
    answers,
    resolution: resolve(answers),
    others: options?.others ?? [],
    wanted: options?.wanted ?? 2,
    replicas: 3,
    expiresAtMillis: deadlines.nowMillis() + 1000
  }))
  yield* settle
  return { fiber, sent, repair: (node: NodeId) => repairs.get(node)!, read: (node: NodeId) => reads.get(node)! }
})

/** The failure of a repair whose holders were lost. */
const lostBy = (fiber: Fiber.Fiber<unknown, ReadQuorumNotReached | ReadRepair.HoldersLost>) =>
  Effect.map(Effect.flip(Fiber.join(fiber)), (error) => {
    assert.strictEqual(error._tag, "HoldersLost")
    return (error as ReadRepair.HoldersLost).failure
  })

const isWaiting = (fiber: Fiber.Fiber<unknown, unknown>) => assert.isUndefined(fiber.pollUnsafe())

describe("ReadRepair", () => {
  it.effect.each([
    { cell: cellOf(2), stale: versionOnly(b, 1) },
    { cell: cellOf(2), stale: absent(b) },
    { cell: { ...cellOf(2), value: undefined }, stale: absent(b) }
  ])(
    "writes the newest cell, which may be a tombstone, to stale replicas before it answers (%#)",
    ({ cell, stale }) =>
      Effect.gen(function*() {
        const { fiber, repair, sent } = yield* repairing([full(a, cell), stale])
        assert.deepStrictEqual(sent, [[b, cell]])
        isWaiting(fiber)
        repair(b).succeed(accepted)
        assert.deepStrictEqual(yield* Fiber.join(fiber), { cell, answers: 2, replicas: 3 })
      })
  )

  it.effect.each([2, 3])(
    "answers when the %i that were wanted hold the cell, and repairs the rest behind it",
    (wanted) =>
      Effect.gen(function*() {
        const { fiber, repair, sent } = yield* repairing([full(a, cellOf(2)), absent(b), absent(c)], { wanted })
        assert.deepStrictEqual(sent.map(([node]) => node), [b, c])
        repair(c).succeed(accepted)
        yield* settle
        assert.strictEqual(fiber.pollUnsafe() === undefined, wanted === 3)
        assert.strictEqual(repair(b).state(), "running")
        repair(b).succeed(accepted)
        assert.deepInclude(yield* Fiber.join(fiber), { answers: 3 })
      })
  )

  it.effect("repairs replicas that were not asked behind the answer, and does not mind when they fail", () =>
    Effect.gen(function*() {
      const { fiber, repair, sent } = yield* repairing([full(a, cellOf(2)), absent(b)], { others: [c] })
      assert.deepStrictEqual(sent.map(([node]) => node), [b])
      repair(b).succeed(accepted)
      yield* Fiber.join(fiber)
      yield* settle
      assert.deepStrictEqual(sent.map(([node]) => node), [b, c])
      repair(c).fail(failedBy(c))
    }))

  it.effect("falls back to a replica that was not asked when a stale one does not take the cell", () =>
    Effect.gen(function*() {
      const { fiber, repair, sent } = yield* repairing([full(a, cellOf(2)), absent(b)], { others: [c] })
      repair(b).fail(failedBy(b))
      yield* settle
      isWaiting(fiber)
      assert.deepStrictEqual(sent.map(([node]) => node), [b, c])
      repair(c).succeed(accepted)
      assert.deepStrictEqual((yield* Fiber.join(fiber)).cell, cellOf(2))
    }))

  it.effect("takes a replica that holds something newer still for in sync", () =>
    Effect.gen(function*() {
      const { fiber, repair } = yield* repairing([full(a, cellOf(2)), absent(b)])
      repair(b).succeed({ _tag: "Superseded", newest: version(3) })
      assert.deepStrictEqual((yield* Fiber.join(fiber)).cell, cellOf(2))
    }))

  it.effect("fails rather than answer something that a later read may not find", () =>
    Effect.gen(function*() {
      const { fiber, repair } = yield* repairing([full(a, cellOf(2)), absent(b)], { others: [c] })
      repair(b).fail(failedBy(b, "storage"))
      repair(c).fail(failedBy(c, "unreachable"))
      const failure = yield* Effect.flip(Fiber.join(fiber))
      if (failure._tag !== "ReadQuorumNotReached") return assert.fail(failure._tag)
      assert.deepInclude(failure, { wanted: 2, got: 1, replicas: 3 })
      assert.sameDeepMembers([...failure.failures], [
        { node: b, reason: "storage" },
        { node: c, reason: "unreachable" }
      ])
    }))

  it.effect("fetches the cell from a replica that has it when no answer carried it", () =>
    Effect.gen(function*() {
      const { fiber, read, repair, sent } = yield* repairing([absent(a), versionOnly(b, 2)])
      assert.strictEqual(read(b).state(), "running")
      assert.deepStrictEqual(sent, [])
      read(b).succeed({ version: version(2), cell: cellOf(2) })
      yield* settle
      assert.deepStrictEqual(sent, [[a, cellOf(2)]])
      repair(a).succeed(accepted)
      assert.deepStrictEqual((yield* Fiber.join(fiber)).cell, cellOf(2))
    }))

  it.effect("repairs nobody when everyone holds the fetched cell", () =>
    Effect.gen(function*() {
      const { fiber, read, sent } = yield* repairing([versionOnly(a, 2), versionOnly(b, 2)], { others: [c] })
      read(a).succeed({ version: version(2), cell: cellOf(2) })
      assert.deepStrictEqual(yield* Fiber.join(fiber), { cell: cellOf(2), answers: 2, replicas: 3 })
      yield* settle
      assert.deepStrictEqual(sent, [])
    }))

  it.effect("asks the next holder when the first does not hand the cell over", () =>
    Effect.gen(function*() {
      const { fiber, read } = yield* repairing([versionOnly(a, 2), versionOnly(b, 2)])
      assert.strictEqual(read(b).state(), "waiting")
      read(a).fail(failedBy(a))
      yield* settle
      read(b).succeed({ version: version(2), cell: cellOf(2) })
      assert.deepStrictEqual((yield* Fiber.join(fiber)).cell, cellOf(2))
    }))

  it.effect("repairs everyone to the fetched cell when it is newer than all answers", () =>
    Effect.gen(function*() {
      const { fiber, read, repair, sent } = yield* repairing([versionOnly(a, 2), versionOnly(b, 2)])
      read(a).succeed({ version: version(3), cell: cellOf(3) })
      yield* settle
      assert.deepStrictEqual(sent, [[b, cellOf(3)]])
      isWaiting(fiber)
      repair(b).succeed(accepted)
      assert.deepStrictEqual((yield* Fiber.join(fiber)).cell, cellOf(3))
    }))

  it.effect("fails when no holder hands the cell over", () =>
    Effect.gen(function*() {
      const { fiber, read } = yield* repairing([versionOnly(a, 2), versionOnly(b, 2)])
      read(a).fail(failedBy(a, "timeout"))
      read(b).fail(failedBy(b, "storage"))
      const failure = yield* lostBy(fiber)
      assert.deepInclude(failure, { wanted: 2, got: 0, replicas: 3 })
      assert.sameDeepMembers([...failure.failures], [{ node: a, reason: "timeout" }, { node: b, reason: "storage" }])
      const lost = yield* repairing([versionOnly(a, 2), absent(b)])
      lost.read(a).succeed({ version: undefined, cell: undefined })
      assert.deepInclude(yield* lostBy(lost.fiber), { got: 0 })
    }))

  it.effect("takes fetching and repairing together no longer than the timeout", () =>
    Effect.gen(function*() {
      const fetching = yield* repairing([absent(a), versionOnly(b, 2)])
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* Effect.flip(Fiber.join(fetching.fiber)), { got: 0 })

      const { fiber, read, repair } = yield* repairing([absent(a), versionOnly(b, 2)])
      yield* TestClock.adjust("600 millis")
      read(b).succeed({ version: version(2), cell: cellOf(2) })
      yield* TestClock.adjust("399 millis")
      isWaiting(fiber)
      yield* TestClock.adjust("1 millis")
      assert.deepInclude(yield* Effect.flip(Fiber.join(fiber)), { wanted: 2, got: 1 })
      assert.strictEqual(repair(a).state(), "running", "the repair itself goes on")
    }))
})
