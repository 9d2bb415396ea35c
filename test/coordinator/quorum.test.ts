import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Deadlines from "../../src/coordinator/Deadlines.ts"
import * as quorum from "../../src/coordinator/quorum.ts"
import { type Request, request, settle } from "./requests.ts"

/** What was known when it was decided. */
interface Outcome {
  readonly answers: ReadonlyArray<string>
  readonly failures: ReadonlyArray<string>
}

interface Options {
  readonly spares?: ReadonlyArray<Effect.Effect<string, string>>
  readonly hedgeAfter?: Duration.Duration
  readonly timeout?: Duration.Duration
  readonly stragglers?: "interrupt" | "continue"
}

/** Succeeds with `required` answers, in order of arrival, and fails when they cannot come any more. */
const collecting = Effect.fnUntraced(function*(
  required: number,
  requests: ReadonlyArray<Effect.Effect<string, string>>,
  options?: Options
) {
  const answers: Array<string> = []
  const failures: Array<string> = []
  const outcome = (): Outcome => ({ answers: [...answers], failures: [...failures] })
  const deadlines = yield* Deadlines.make
  const collect = quorum.collectEffects<string, string, Outcome, Outcome>({
    deadlines,
    requests,
    spares: options?.spares ?? [],
    hedgeAt: options?.hedgeAfter && deadlines.now() + Duration.toMillis(options.hedgeAfter),
    expiresAt: deadlines.now() + Duration.toMillis(options?.timeout ?? Duration.seconds(1)),
    stragglers: options?.stragglers ?? "interrupt",
    onAnswer: (index, answer) => {
      answers.push(`${index}:${answer}`)
      return answers.length >= required ? Exit.succeed(outcome()) : undefined
    },
    onFailure: (index, error, open) => {
      failures.push(`${index}:${error}`)
      return answers.length + open < required ? Exit.fail(outcome()) : undefined
    },
    onTimeout: () => Exit.fail(outcome())
  })
  const fiber = yield* Effect.forkChild(collect)
  yield* settle
  return { fiber }
})

const requestsOf = (count: number): ReadonlyArray<Request<string, string>> =>
  Array.from({ length: count }, () => request())
const effectsOf = (requests: ReadonlyArray<Request<string, string>>) => requests.map(({ effect }) => effect)
const statesOf = (requests: ReadonlyArray<Request<string, string>>) => requests.map(({ state }) => state())

const isUndecided = (fiber: Fiber.Fiber<unknown, unknown>) => assert.isUndefined(fiber.pollUnsafe())

describe("quorum", () => {
  it.effect("asks everyone at once and decides with the answer that makes the quorum", () =>
    Effect.gen(function*() {
      const requests = requestsOf(3)
      const { fiber } = yield* collecting(2, effectsOf(requests))
      assert.deepStrictEqual(statesOf(requests), ["running", "running", "running"])
      requests[2]!.succeed("z")
      yield* settle
      isUndecided(fiber)
      requests[0]!.succeed("x")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { answers: ["2:z", "0:x"], failures: [] })
    }))

  it.effect("interrupts stragglers when asked to", () =>
    Effect.gen(function*() {
      const requests = requestsOf(3)
      const { fiber } = yield* collecting(1, effectsOf(requests))
      requests[1]!.succeed("y")
      yield* Fiber.join(fiber)
      yield* settle
      assert.deepStrictEqual(statesOf(requests), ["interrupted", "done", "interrupted"])
    }))

  it.effect("lets stragglers go on when asked to, until they end", () =>
    Effect.gen(function*() {
      const requests = requestsOf(3)
      const { fiber } = yield* collecting(1, effectsOf(requests), { stragglers: "continue" })
      requests[1]!.succeed("y")
      yield* Fiber.join(fiber)
      yield* settle
      assert.deepStrictEqual(statesOf(requests), ["running", "done", "running"])
      requests[0]!.succeed("x")
      yield* settle
      assert.strictEqual(requests[0]!.state(), "done")
      assert.strictEqual(requests[2]!.state(), "running")
    }))

  it.effect("leaves nothing waiting for a timeout that no longer matters", () =>
    Effect.gen(function*() {
      const requests = requestsOf(2)
      const { fiber } = yield* collecting(1, effectsOf(requests), {
        stragglers: "continue",
        timeout: Duration.seconds(1)
      })
      requests[0]!.succeed("x")
      yield* Fiber.join(fiber)
      yield* TestClock.adjust("2 seconds")
      requests[1]!.fail("late")
      yield* settle
      assert.deepStrictEqual(yield* Fiber.join(fiber), { answers: ["0:x"], failures: [] })
    }))

  it.effect("interrupts reads when the caller is interrupted, and lets writes go on to their own end", () =>
    Effect.gen(function*() {
      for (const [stragglers, rest] of [["interrupt", "interrupted"], ["continue", "running"]] as const) {
        const requests = requestsOf(3)
        const { fiber } = yield* collecting(2, effectsOf(requests), { stragglers })
        requests[0]!.succeed("x")
        yield* settle
        yield* Fiber.interrupt(fiber)
        yield* settle
        assert.deepStrictEqual(statesOf(requests), ["done", rest, rest])
      }
    }))

  it.effect("fails at the timeout, not before, and says what it had", () =>
    Effect.gen(function*() {
      const requests = requestsOf(3)
      const { fiber } = yield* collecting(2, effectsOf(requests), { timeout: Duration.millis(500) })
      requests[1]!.succeed("y")
      yield* TestClock.adjust("499 millis")
      isUndecided(fiber)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Effect.flip(Fiber.join(fiber)), { answers: ["1:y"], failures: [] })
      assert.deepStrictEqual(statesOf(requests), ["interrupted", "done", "interrupted"])
    }))

  it.effect("fails at once when no time is left", () =>
    Effect.gen(function*() {
      for (const timeout of [Duration.zero, Duration.millis(-1)]) {
        const requests = requestsOf(2)
        const { fiber } = yield* collecting(1, effectsOf(requests), { timeout })
        assert.deepStrictEqual(yield* Effect.flip(Fiber.join(fiber)), { answers: [], failures: [] })
        yield* settle
        assert.notInclude(statesOf(requests), "running")
      }
    }))

  it.effect("fails as soon as the quorum cannot be reached any more", () =>
    Effect.gen(function*() {
      const requests = requestsOf(3)
      const { fiber } = yield* collecting(2, effectsOf(requests))
      requests[0]!.fail("x")
      yield* settle
      isUndecided(fiber)
      requests[2]!.fail("z")
      assert.deepStrictEqual(yield* Effect.flip(Fiber.join(fiber)), { answers: [], failures: ["0:x", "2:z"] })
      yield* settle
      assert.strictEqual(requests[1]!.state(), "interrupted")
    }))

  it.effect("makes up for failed requests with spares, in order", () =>
    Effect.gen(function*() {
      const requests = requestsOf(2)
      const spares = requestsOf(2)
      const { fiber } = yield* collecting(2, effectsOf(requests), { spares: effectsOf(spares) })
      assert.deepStrictEqual(statesOf(spares), ["waiting", "waiting"])
      requests[1]!.fail("y")
      yield* settle
      assert.deepStrictEqual(statesOf(spares), ["running", "waiting"])
      spares[0]!.fail("s")
      yield* settle
      assert.deepStrictEqual(statesOf(spares), ["done", "running"])
      spares[1]!.succeed("t")
      requests[0]!.succeed("x")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { answers: ["3:t", "0:x"], failures: ["1:y", "2:s"] })
    }))

  it.effect("fails when the last spare does", () =>
    Effect.gen(function*() {
      const requests = requestsOf(1)
      const spares = requestsOf(1)
      const { fiber } = yield* collecting(1, effectsOf(requests), { spares: effectsOf(spares) })
      requests[0]!.fail("x")
      yield* settle
      isUndecided(fiber)
      spares[0]!.fail("s")
      assert.deepStrictEqual(yield* Effect.flip(Fiber.join(fiber)), { answers: [], failures: ["0:x", "1:s"] })
    }))

  it.effect("asks one spare as well when the hedge delay has passed, not before, and still waits until the timeout", () =>
    Effect.gen(function*() {
      const requests = requestsOf(1)
      const spares = requestsOf(2)
      const { fiber } = yield* collecting(1, effectsOf(requests), {
        spares: effectsOf(spares),
        hedgeAfter: Duration.millis(10),
        timeout: Duration.millis(100)
      })
      yield* TestClock.adjust("9 millis")
      assert.deepStrictEqual(statesOf(spares), ["waiting", "waiting"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(statesOf(spares), ["running", "waiting"])
      yield* TestClock.adjust("89 millis")
      isUndecided(fiber)
      assert.deepStrictEqual(statesOf(spares), ["running", "waiting"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Effect.flip(Fiber.join(fiber)), { answers: [], failures: [] })
      assert.strictEqual(requests[0]!.state(), "interrupted")
    }))

  it.effect("takes whichever of the slow request and its hedge answers first", () =>
    Effect.gen(function*() {
      const requests = requestsOf(1)
      const spares = requestsOf(1)
      const { fiber } = yield* collecting(1, effectsOf(requests), {
        spares: effectsOf(spares),
        hedgeAfter: Duration.millis(10)
      })
      yield* TestClock.adjust("10 millis")
      spares[0]!.succeed("s")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { answers: ["1:s"], failures: [] })
      yield* settle
      assert.strictEqual(requests[0]!.state(), "interrupted")
    }))

  it.effect("does not hedge when the timeout comes first", () =>
    Effect.gen(function*() {
      const spares = requestsOf(1)
      const { fiber } = yield* collecting(1, effectsOf(requestsOf(1)), {
        spares: effectsOf(spares),
        hedgeAfter: Duration.millis(100),
        timeout: Duration.millis(100)
      })
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(yield* Effect.flip(Fiber.join(fiber)), { answers: [], failures: [] })
      assert.strictEqual(spares[0]!.state(), "waiting")
    }))

  it.effect("surfaces a defect at once instead of counting it as an absent replica", () =>
    Effect.gen(function*() {
      const requests = requestsOf(3)
      const { fiber } = yield* collecting(1, effectsOf(requests))
      requests[0]!.die("a bug")
      const exit = yield* Fiber.await(fiber)
      assert.deepStrictEqual(exit, Exit.die("a bug"))
      yield* settle
      assert.deepStrictEqual(statesOf(requests).slice(1), ["interrupted", "interrupted"])
    }))

  it.effect("decides when all requests complete without waiting", () =>
    Effect.gen(function*() {
      const { fiber } = yield* collecting(2, [Effect.succeed("x"), Effect.fail("y"), Effect.succeed("z")])
      assert.deepStrictEqual(yield* Fiber.join(fiber), { answers: ["0:x", "2:z"], failures: ["1:y"] })
      const { fiber: failing } = yield* collecting(2, [Effect.fail("x"), Effect.fail("y"), Effect.succeed("z")])
      assert.deepStrictEqual(yield* Effect.flip(Fiber.join(failing)), { answers: [], failures: ["0:x", "1:y"] })
      const { fiber: spared } = yield* collecting(1, [Effect.fail("x")], {
        spares: [Effect.fail("s"), Effect.succeed("t")]
      })
      assert.deepStrictEqual((yield* Fiber.join(spared)).answers, ["2:t"])
    }))

  it.effect("starts every request that may go on, even when the first decides without waiting", () =>
    Effect.gen(function*() {
      const rest = requestsOf(2)
      const { fiber } = yield* collecting(1, [Effect.succeed("x"), ...effectsOf(rest)], { stragglers: "continue" })
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(statesOf(rest), ["running", "running"])
      const reads = requestsOf(2)
      yield* collecting(1, [Effect.succeed("x"), ...effectsOf(reads)], { stragglers: "interrupt" })
      assert.notInclude(statesOf(reads), "running")
    }))
})
