import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Logger, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Attempts from "../../src/coordinator/Attempts.ts"
import * as Deadlines from "../../src/coordinator/Deadlines.ts"
import * as quorum from "../../src/coordinator/quorum.ts"
import type { PeerFailed } from "../../src/peer/PeerError.ts"
import { a, b, c, d, failedBy, type Request, request, settle } from "./requests.ts"

type Asked = Pick<Request<string, PeerFailed>, "effect">

interface Options {
  readonly hedgeAfter?: Duration.Duration
  readonly timeout?: Duration.Duration
  readonly stragglers?: "interrupt" | "run-on"
  /** The node's; the test's unless it says otherwise. */
  readonly scope?: Scope.Scope
}

const nodes = [a, b, c, d]

/** An attempt that wants `wanted` answers of replicas that answer as the test says, and its verdict in short. */
const attempting = Effect.fnUntraced(function*<A extends Asked>(
  wanted: number,
  requests: ReadonlyArray<A>,
  options?: Options,
  spares: ReadonlyArray<A> = []
) {
  const all = [...requests, ...spares]
  const deadlines = yield* Deadlines.make
  const waiting = new Set<() => void>()
  const attempts = yield* Scope.provide(
    Attempts.make({
      nowMillis: deadlines.nowMillis,
      at: (dueAtMillis, expire) => {
        waiting.add(expire)
        const deadline = deadlines.at(dueAtMillis, expire)
        return {
          cancel: () => {
            waiting.delete(expire)
            deadline.cancel()
          }
        }
      }
    }),
    options?.scope ?? (yield* Effect.scope)
  )
  const verdict = attempts.run({
    nodes: nodes.slice(0, all.length),
    atOnce: requests.length,
    absent: [],
    ask: (node, index) => {
      assert.strictEqual(node, nodes[index])
      return all[index]!.effect
    },
    rule: quorum.count(wanted)<string>,
    ...(options?.hedgeAfter && { hedgeAtMillis: deadlines.nowMillis() + Duration.toMillis(options.hedgeAfter) }),
    expiresAtMillis: deadlines.nowMillis() + Duration.toMillis(options?.timeout ?? Duration.seconds(1)),
    stragglers: options?.stragglers ?? "interrupt"
  })
  const fiber = yield* Effect.forkChild(Effect.map(verdict, inShort))
  yield* settle
  return { fiber, requests, spares, deadlinesWaiting: () => waiting.size }
})

const inShort = (verdict: quorum.Enough<string> | quorum.NotEnough) =>
  verdict._tag === "Enough"
    ? verdict.answers.map(({ answer, node }) => `${node}:${answer}`)
    : { got: verdict.got, failed: verdict.failures.map(({ node }) => node), isExpired: verdict.isExpired }

const requestsOf = (count: number): ReadonlyArray<Request<string, PeerFailed>> =>
  Array.from({ length: count }, () => request())
const statesOf = (requests: ReadonlyArray<Request<string, PeerFailed>>) => requests.map(({ state }) => state())

const isUndecided = (fiber: Fiber.Fiber<unknown, unknown>) => assert.isUndefined(fiber.pollUnsafe())

describe("Attempts", () => {
  it.effect("asks everyone at once and returns with the answer that decides", () =>
    Effect.gen(function*() {
      const { fiber, requests } = yield* attempting(2, requestsOf(3))
      assert.deepStrictEqual(statesOf(requests), ["running", "running", "running"])
      requests[2]!.succeed("z")
      yield* settle
      isUndecided(fiber)
      requests[0]!.succeed("x")
      assert.deepStrictEqual(yield* Fiber.join(fiber), ["c:z", "a:x"])
    }))

  it.effect("interrupts the rest of a read when it is decided", () =>
    Effect.gen(function*() {
      const { fiber, requests } = yield* attempting(1, requestsOf(3))
      requests[1]!.succeed("y")
      yield* Fiber.join(fiber)
      yield* settle
      assert.deepStrictEqual(statesOf(requests), ["interrupted", "done", "interrupted"])
    }))

  it.effect("lets the rest of a write run on, until it ends or the scope closes", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { fiber, requests } = yield* attempting(1, requestsOf(3), { stragglers: "run-on", scope })
      requests[1]!.succeed("y")
      yield* Fiber.join(fiber)
      yield* settle
      assert.deepStrictEqual(statesOf(requests), ["running", "done", "running"])
      requests[0]!.succeed("x")
      yield* settle
      assert.deepStrictEqual(statesOf(requests), ["done", "done", "running"])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(statesOf(requests), ["done", "done", "interrupted"])
    }))

  it.effect("interrupts a read with its caller, and lets a write run on", () =>
    Effect.gen(function*() {
      for (const [stragglers, rest] of [["interrupt", "interrupted"], ["run-on", "running"]] as const) {
        const { fiber, requests } = yield* attempting(2, requestsOf(3), { stragglers })
        requests[0]!.succeed("x")
        yield* settle
        yield* Fiber.interrupt(fiber)
        yield* settle
        assert.deepStrictEqual(statesOf(requests), ["done", rest, rest])
      }
    }))

  it.effect("leaves nothing running in a scope that is closed already", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      yield* Scope.close(scope, Exit.void)
      const { fiber, requests } = yield* attempting(1, requestsOf(2), { stragglers: "run-on", scope })
      requests[0]!.succeed("x")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(statesOf(requests), ["done", "interrupted"])
    }))

  it.effect("ends at the timeout, not before, with the answers that it had", () =>
    Effect.gen(function*() {
      const { fiber, requests } = yield* attempting(2, requestsOf(3), { timeout: Duration.millis(500) })
      requests[1]!.succeed("y")
      yield* TestClock.adjust("499 millis")
      isUndecided(fiber)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { got: 1, failed: [], isExpired: true })
      assert.deepStrictEqual(statesOf(requests), ["interrupted", "done", "interrupted"])
    }))

  it.effect("ends at once when no time is left", () =>
    Effect.gen(function*() {
      for (const timeout of [Duration.zero, Duration.millis(-1)]) {
        const { fiber, requests } = yield* attempting(1, requestsOf(2), { timeout })
        assert.deepStrictEqual(yield* Fiber.join(fiber), { got: 0, failed: [], isExpired: true })
        assert.notInclude(statesOf(requests), "running")
      }
    }))

  it.effect("leaves nothing waiting for a timeout that no longer matters", () =>
    Effect.gen(function*() {
      const { deadlinesWaiting, fiber, requests } = yield* attempting(1, requestsOf(2), { stragglers: "run-on" })
      assert.strictEqual(deadlinesWaiting(), 1)
      requests[0]!.succeed("x")
      yield* Fiber.join(fiber)
      assert.strictEqual(deadlinesWaiting(), 0)
      yield* TestClock.adjust("2 seconds")
      requests[1]!.fail(failedBy(b))
      yield* settle
      assert.deepStrictEqual(yield* Fiber.join(fiber), ["a:x"])
    }))

  it.effect("makes up for failed requests with spares, in order, until the last one fails", () =>
    Effect.gen(function*() {
      const { fiber, requests, spares } = yield* attempting(2, requestsOf(2), {}, requestsOf(2))
      assert.deepStrictEqual(statesOf(spares), ["waiting", "waiting"])
      requests[1]!.fail(failedBy(b))
      yield* settle
      assert.deepStrictEqual(statesOf(spares), ["running", "waiting"])
      spares[0]!.fail(failedBy(c))
      yield* settle
      assert.deepStrictEqual(statesOf(spares), ["done", "running"])
      requests[0]!.succeed("x")
      yield* settle
      isUndecided(fiber)
      spares[1]!.fail(failedBy(d))
      assert.deepStrictEqual(yield* Fiber.join(fiber), { got: 1, failed: [b, c, d], isExpired: false })
    }))

  it.effect("asks one spare as well when the hedge delay has passed, not before, and still waits until the timeout", () =>
    Effect.gen(function*() {
      const times = { hedgeAfter: Duration.millis(10), timeout: Duration.millis(100) }
      const { fiber, requests, spares } = yield* attempting(1, requestsOf(1), times, requestsOf(2))
      yield* TestClock.adjust("9 millis")
      assert.deepStrictEqual(statesOf(spares), ["waiting", "waiting"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(statesOf(spares), ["running", "waiting"])
      yield* TestClock.adjust("89 millis")
      isUndecided(fiber)
      assert.deepStrictEqual(statesOf(spares), ["running", "waiting"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { got: 0, failed: [], isExpired: true })
      assert.strictEqual(requests[0]!.state(), "interrupted")
    }))

  it.effect("does not hedge when the timeout comes first", () =>
    Effect.gen(function*() {
      const times = { hedgeAfter: Duration.millis(100), timeout: Duration.millis(100) }
      const { fiber, spares } = yield* attempting(1, requestsOf(1), times, requestsOf(1))
      yield* TestClock.adjust("100 millis")
      assert.deepInclude(yield* Fiber.join(fiber), { isExpired: true })
      assert.strictEqual(spares[0]!.state(), "waiting")
    }))

  it.effect("surfaces a defect at once instead of counting it as an absent replica", () =>
    Effect.gen(function*() {
      const { fiber, requests } = yield* attempting(1, requestsOf(3))
      requests[0]!.die("a bug")
      assert.deepStrictEqual(yield* Fiber.await(fiber), Exit.die("a bug"))
      yield* settle
      assert.deepStrictEqual(statesOf(requests).slice(1), ["interrupted", "interrupted"])
    }))

  it.effect("logs the defect of a straggler", () => {
    const lines: Array<string> = []
    return Effect.gen(function*() {
      const { fiber, requests } = yield* attempting(1, requestsOf(3), { stragglers: "run-on" })
      requests[0]!.succeed("x")
      yield* Fiber.join(fiber)
      requests[1]!.fail(failedBy(b))
      requests[2]!.die("a bug")
      yield* settle
      assert.deepStrictEqual(lines, ["a request to c died of a defect when its attempt was over"])
    }).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => lines.push(String(message)))])))
  })

  it.effect("decides when all requests complete without waiting", () =>
    Effect.gen(function*() {
      const [x, z] = [{ effect: Effect.succeed("x") }, { effect: Effect.succeed("z") }]
      const fails = { effect: Effect.fail(failedBy(a)) }
      const { fiber } = yield* attempting<Asked>(2, [x, fails, z])
      assert.deepStrictEqual(yield* Fiber.join(fiber), ["a:x", "c:z"])
      const { fiber: failing } = yield* attempting<Asked>(2, [fails, fails, z])
      assert.deepStrictEqual(yield* Fiber.join(failing), { got: 0, failed: [a, b], isExpired: false })
      const { fiber: spared } = yield* attempting<Asked>(1, [fails], {}, [fails, x])
      assert.deepStrictEqual(yield* Fiber.join(spared), ["c:x"])
    }))

  it.effect("asks every replica of a write, and no more than needed for a read, when the first decides at once", () =>
    Effect.gen(function*() {
      const rest = requestsOf(2)
      const first = { effect: Effect.succeed("x") }
      const scope = yield* Scope.make()
      const { fiber } = yield* attempting<Asked>(1, [first, ...rest], { stragglers: "run-on", scope })
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(statesOf(rest), ["running", "running"])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(statesOf(rest), ["interrupted", "interrupted"])
      const reads = requestsOf(2)
      yield* attempting<Asked>(1, [first, ...reads])
      assert.deepStrictEqual(statesOf(reads), ["waiting", "waiting"])
    }))
})
