import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Exit, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as Deadlines from "../../src/coordinator/Deadlines.ts"
import * as readQuorum from "../../src/coordinator/readQuorum.ts"
import { NodeId } from "../../src/domain/NodeId.ts"
import * as Version from "../../src/domain/Version.ts"
import type { ReadAnswer } from "../../src/peer/PeerClient.ts"
import type { PeerFailed } from "../../src/peer/PeerError.ts"
import * as Call from "../../src/replication/Call.ts"
import { a, b, c, cellOf, failedBy, request, settle, version } from "./requests.ts"

const absentAnswer: ReadAnswer = { version: undefined, cell: undefined }
const full = (counter: number): ReadAnswer => ({ version: version(counter), cell: cellOf(counter) })
const versionOnly = (counter: number): ReadAnswer => ({ version: version(counter), cell: undefined })

const attempting = Effect.fnUntraced(function*(
  wanted: number,
  nodes: ReadonlyArray<typeof a>,
  absent: readQuorum.ReadAttempt["absent"] = []
) {
  const requests = nodes.map(() => request<ReadAnswer, PeerFailed>())
  const deadlines = yield* Deadlines.make
  const start = Call.starter(yield* Effect.context<never>())
  const asked: Array<readonly [node: NodeId, full: boolean]> = []
  const fiber = yield* Effect.forkChild(readQuorum.attempt({
    nodes,
    read: (node, full, done) => {
      asked.push([node, full])
      return start(requests[nodes.indexOf(node)]!.effect, done)
    },
    absent,
    wanted,
    deadlines,
    hedgeAt: deadlines.now() + 50,
    expiresAt: deadlines.now() + 1000
  }))
  yield* settle
  return { requests, asked, fiber, states: () => requests.map(({ state }) => state()) }
})

/** Answers of different replicas, whose versions and kinds often meet. */
const answers: Arbitrary.Arbitrary<ReadonlyArray<readQuorum.ReplicaAnswer>> = Arbitrary.map(
  Arbitrary.array(
    Arbitrary.all({
      counter: Arbitrary.schema(Schema.Literals([0, 1, 2, 3])),
      full: Arbitrary.schema(Schema.Boolean)
    }),
    { maxLength: 5 }
  ),
  (rows) =>
    rows.map(({ counter, full: isFull }, index) => ({
      node: NodeId.make(`n${index}`),
      ...(counter === 0 ? absentAnswer : isFull ? full(counter) : versionOnly(counter))
    }))
)

describe("readQuorum", () => {
  it.effect("names every reason, also when the replica asked in the place of one fails at once too", () =>
    Effect.gen(function*() {
      const deadlines = yield* Deadlines.make
      const { failures } = yield* Effect.flip(readQuorum.attempt({
        nodes: [a, b, c],
        absent: [],
        wanted: 2,
        deadlines,
        hedgeAt: deadlines.now() + 50,
        expiresAt: deadlines.now() + 1000,
        read: (node, _full, done) => {
          if (node === a) done(Exit.fail(failedBy(a, "recovering")))
          if (node === c) done(Exit.fail(failedBy(c, "overloaded")))
          return () => {}
        }
      }))
      assert.deepStrictEqual(failures, [{ node: a, reason: "recovering" }, { node: c, reason: "overloaded" }])
    }))

  it.effect("asks as many replicas as are wanted, and hands over their answers", () =>
    Effect.gen(function*() {
      const { fiber, requests, states } = yield* attempting(2, [a, b, c])
      assert.deepStrictEqual(states(), ["running", "running", "waiting"])
      requests[1]!.succeed(versionOnly(1))
      requests[0]!.succeed(full(2))
      const answers = yield* Fiber.join(fiber)
      assert.deepStrictEqual(answers, [{ node: b, ...versionOnly(1) }, { node: a, ...full(2) }])
      assert.strictEqual(requests[2]!.state(), "waiting")
    }))

  it.effect("counts \"never had it\" as an answer", () =>
    Effect.gen(function*() {
      const { fiber, requests } = yield* attempting(2, [a, b, c])
      requests[0]!.succeed(absentAnswer)
      requests[1]!.succeed(absentAnswer)
      assert.strictEqual((yield* Fiber.join(fiber)).length, 2)
    }))

  it.effect("asks another replica when one fails, and when one is slow", () =>
    Effect.gen(function*() {
      const failing = yield* attempting(2, [a, b, c])
      failing.requests[1]!.fail(failedBy(b))
      yield* settle
      assert.strictEqual(failing.requests[2]!.state(), "running")
      failing.requests[2]!.succeed(full(1))
      failing.requests[0]!.succeed(full(1))
      assert.deepStrictEqual((yield* Fiber.join(failing.fiber)).map(({ node }) => node), [c, a])
      assert.deepStrictEqual(failing.asked, [[a, true], [b, false], [c, true]])

      const slow = yield* attempting(2, [a, b, c])
      yield* TestClock.adjust("49 millis")
      assert.deepStrictEqual(slow.states(), ["running", "running", "waiting"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(slow.states(), ["running", "running", "running"])
      slow.requests[2]!.succeed(full(1))
      slow.requests[0]!.succeed(full(1))
      yield* Fiber.join(slow.fiber)
      yield* settle
      assert.strictEqual(slow.requests[1]!.state(), "interrupted")
    }))

  it.effect("fails when too few replicas are left, and lists why", () =>
    Effect.gen(function*() {
      const { fiber, requests } = yield* attempting(2, [a, b], [{ node: c, reason: "down" }])
      requests[0]!.succeed(full(1))
      requests[1]!.fail(failedBy(b, "recovering"))
      const failure = yield* Effect.flip(Fiber.join(fiber))
      assert.strictEqual(failure._tag, "ReadQuorumNotReached")
      assert.deepInclude(failure, { wanted: 2, got: 1, replicas: 3 })
      assert.deepStrictEqual(failure.failures, [{ node: c, reason: "down" }, { node: b, reason: "recovering" }])
      assert.strictEqual(failure.message, "a read needs 2 replicas, 1 of 3 answered (c: down, b: recovering)")
    }))

  it.effect("fails at once when fewer replicas are up than wanted", () =>
    Effect.gen(function*() {
      const { fiber, requests } = yield* attempting(3, [a, b], [{ node: c, reason: "down" }])
      requests[0]!.fail(failedBy(a))
      const failure = yield* Effect.flip(Fiber.join(fiber))
      assert.deepInclude(failure, { wanted: 3, got: 0, replicas: 3 })
    }))

  it.effect("fails at the timeout, not before", () =>
    Effect.gen(function*() {
      const { fiber, requests } = yield* attempting(2, [a, b, c])
      requests[0]!.succeed(full(1))
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const failure = yield* Effect.flip(Fiber.join(fiber))
      assert.deepInclude(failure, { wanted: 2, got: 1, replicas: 3, failures: [] })
    }))

  it("finds nothing when no replica ever had the key", () => {
    const nothing = { newest: undefined, cell: undefined, holders: [], stale: [] }
    assert.deepStrictEqual(readQuorum.resolve([]), nothing)
    assert.deepStrictEqual(readQuorum.resolve([{ node: a, ...absentAnswer }, { node: b, ...absentAnswer }]), nothing)
  })

  it.prop("the newest version wins, whatever the order of answers", [answers], ([answers]) => {
    const { newest } = readQuorum.resolve(answers)
    assert.deepStrictEqual(readQuorum.resolve(answers.toReversed()).newest, newest)
    for (const { version } of answers) {
      if (version !== undefined) assert.isAtMost(Version.compare(version, newest!), 0)
    }
    if (newest !== undefined) assert.isTrue(answers.some(({ version }) => version?.counter === newest.counter))
  }, { arbitrary: { runs: 500 } })

  it.prop("those below the newest version are stale, exactly, and the others hold it", [answers], ([answers]) => {
    const { holders, newest, stale } = readQuorum.resolve(answers)
    const below = answers.filter(({ version }) => newest !== undefined && version?.counter !== newest.counter)
    const level = answers.filter(({ version }) => newest !== undefined && version?.counter === newest.counter)
    assert.deepStrictEqual(stale, below.map(({ node }) => node))
    assert.deepStrictEqual(holders, level.map(({ node }) => node))
  }, { arbitrary: { runs: 500 } })

  it.prop("the cell is of the newest version, and there when any holder sent it", [answers], ([answers]) => {
    const { cell, newest } = readQuorum.resolve(answers)
    const sent = answers.some((answer) => answer.cell !== undefined && answer.version?.counter === newest?.counter)
    assert.strictEqual(cell !== undefined, sent)
    if (cell !== undefined) assert.deepStrictEqual(cell.version, newest)
  }, { arbitrary: { runs: 500 } })
})
