import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { type AttemptFailed, schedule } from "../../src/cli/retry.ts"

const failure = (overrides?: Partial<AttemptFailed>): AttemptFailed => ({
  kind: "ECONNREFUSED",
  retryable: true,
  retryAfter: undefined,
  ...overrides
})

/** Fails `failures` times, then succeeds; keeps when it was tried. */
const attempts = (failures: number, failed = failure()) => {
  const times: Array<number> = []
  const attempt = Effect.flatMap(Clock.currentTimeMillis, (nowMillis) => {
    const number = times.push(nowMillis) - 1
    return number < failures ? Effect.fail(failed) : Effect.succeed(number)
  })
  return { times, retried: Effect.retry(attempt, schedule(Duration.seconds(10))) }
}

const gaps = (times: ReadonlyArray<number>) => times.slice(1).map((time, index) => time - times[index]!)

describe("retry", () => {
  it.effect("repeats with delays that double up to the greatest, each between half and all of it", () =>
    Effect.gen(function*() {
      const { retried, times } = attempts(8)
      const fiber = yield* Effect.forkChild(retried)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), 8)
      const expected = [50, 100, 200, 400, 800, 1600, 2000, 2000]
      for (const [index, gap] of gaps(times).entries()) {
        assert.isAtLeast(gap, expected[index]! / 2)
        assert.isAtMost(gap, expected[index]! + 1)
      }
    }))

  it.effect("does not repeat what would fail again", () =>
    Effect.gen(function*() {
      const { retried, times } = attempts(9, failure({ kind: "400 InvalidKey", retryable: false }))
      assert.strictEqual((yield* Effect.flip(retried)).kind, "400 InvalidKey")
      assert.strictEqual(times.length, 1)
    }))

  it.effect("gives up with the last failure when the next attempt would begin too late", () =>
    Effect.gen(function*() {
      const { retried, times } = attempts(Number.POSITIVE_INFINITY)
      const fiber = yield* Effect.forkChild(Effect.flip(retried))
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).kind, "ECONNREFUSED")
      assert.isAtMost(times.at(-1)! - times[0]!, 10_000)
      assert.isAtLeast(times.at(-1)! - times[0]!, 8_000)
    }))

  it.effect("waits as long as the server asks, within the greatest delay", () =>
    Effect.gen(function*() {
      for (const [asked, waitedMillis] of [["700 millis", 700], ["60 seconds", 2000]] as const) {
        const { retried, times } = attempts(1, failure({ retryAfter: Duration.fromInputUnsafe(asked) }))
        const fiber = yield* Effect.forkChild(retried)
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(gaps(times), [waitedMillis])
      }
    }))
})
