import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Deadlines from "../../src/coordinator/Deadlines.ts"
import * as writeQuorum from "../../src/coordinator/writeQuorum.ts"
import type { PeerFailed } from "../../src/peer/PeerError.ts"
import * as Call from "../../src/replication/Call.ts"
import { a, b, c, failedBy, request, settle, version } from "./requests.ts"

const accepted: writeQuorum.CountedAnswer = { _tag: "Accepted", replaced: false }
const replaced: writeQuorum.CountedAnswer = { _tag: "Accepted", replaced: true }

/** A write to `nodes`, whose requests the test answers by hand. */
const attempting = Effect.fnUntraced(function*(
  wanted: number,
  nodes: ReadonlyArray<typeof a>,
  absent: writeQuorum.WriteAttempt["absent"] = []
) {
  const requests = nodes.map(() => request<writeQuorum.CountedAnswer, PeerFailed>())
  const deadlines = yield* Deadlines.make
  const start = Call.starter(yield* Effect.context<never>())
  const attempt = writeQuorum.attempt({
    nodes,
    send: (node, done) => start(requests[nodes.indexOf(node)]!.effect, done),
    absent,
    wanted,
    deadlines,
    expiresAt: deadlines.now() + 1000
  })
  const fiber = yield* Effect.forkChild(attempt)
  yield* settle
  return { requests, fiber, attempt }
})

describe("writeQuorum", () => {
  it.effect("acknowledges when as many replicas took the write as are wanted, and lets the rest go on", () =>
    Effect.gen(function*() {
      const { fiber, requests } = yield* attempting(2, [a, b, c])
      requests[0]!.succeed(accepted)
      yield* settle
      assert.isUndefined(fiber.pollUnsafe())
      requests[2]!.succeed(accepted)
      assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Acknowledged", acks: 2, replaced: false })
      assert.strictEqual(requests[1]!.state(), "running")
    }))

  it.effect("says that a value was replaced when any replica that took the write had one", () =>
    Effect.gen(function*() {
      const { fiber, requests } = yield* attempting(2, [a, b, c])
      requests[0]!.succeed(replaced)
      requests[1]!.succeed(accepted)
      assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Acknowledged", acks: 2, replaced: true })
    }))

  it.effect("is superseded as soon as one replica holds something newer, even with other answers in hand", () =>
    Effect.gen(function*() {
      const { fiber, requests } = yield* attempting(2, [a, b, c])
      requests[0]!.succeed(accepted)
      requests[1]!.succeed({ _tag: "Superseded", newest: version(9, b) })
      assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Superseded", newest: version(9, b), by: b })
      assert.strictEqual(requests[2]!.state(), "running")
    }))

  it.effect("does not wait for a quorum that can no longer be reached", () =>
    Effect.gen(function*() {
      const { fiber, requests } = yield* attempting(2, [a, b, c])
      requests[2]!.fail(failedBy(c, "unreachable"))
      yield* settle
      assert.isUndefined(fiber.pollUnsafe())
      requests[0]!.succeed(accepted)
      requests[1]!.fail(failedBy(b, "storage"))
      const failure = yield* Effect.flip(Fiber.join(fiber))
      assert.strictEqual(failure._tag, "WriteQuorumNotReached")
      assert.deepInclude(failure, { wanted: 2, got: 1, replicas: 3, outcome: "unknown" })
      assert.deepStrictEqual(failure.failures, [{ node: c, reason: "unreachable" }, { node: b, reason: "storage" }])
      assert.strictEqual(
        failure.message,
        "a write needs 2 replicas, 1 of 3 took it (c: unreachable, b: storage)"
      )
    }))

  it.effect("counts replicas known to be down among the failures, and does not wait for them", () =>
    Effect.gen(function*() {
      const { fiber, requests } = yield* attempting(2, [a, b], [{ node: c, reason: "down" }])
      requests[1]!.fail(failedBy(b))
      const failure = yield* Effect.flip(Fiber.join(fiber))
      assert.deepInclude(failure, { wanted: 2, got: 0, replicas: 3 })
      assert.deepStrictEqual(failure.failures, [{ node: c, reason: "down" }, { node: b, reason: "timeout" }])
    }))

  it.effect("fails at the timeout with an unknown outcome, since a silent replica may have taken the write", () =>
    Effect.gen(function*() {
      const { fiber, requests } = yield* attempting(2, [a, b, c])
      requests[0]!.succeed(accepted)
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const failure = yield* Effect.flip(Fiber.join(fiber))
      assert.deepInclude(failure, { wanted: 2, got: 1, replicas: 3, outcome: "unknown" })
      assert.deepStrictEqual(failure.failures, [])
      assert.strictEqual(requests[1]!.state(), "running")
    }))

  it.effect("starts to count anew when it is run again", () =>
    Effect.gen(function*() {
      const { attempt, fiber, requests } = yield* attempting(2, [a, b])
      requests[0]!.succeed(accepted)
      requests[1]!.fail(failedBy(b))
      const first = yield* Effect.flip(Fiber.join(fiber))
      const second = yield* Effect.flip(attempt)
      assert.deepStrictEqual({ ...second }, { ...first })
    }))
})
