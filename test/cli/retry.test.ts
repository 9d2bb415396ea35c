import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { type AttemptFailed, type Policy, retry } from "../../src/cli/retry.ts"

const policy: Policy = {
  firstDelay: Duration.millis(100),
  delayMax: Duration.seconds(1),
  giveUpAfter: Duration.seconds(10)
}
const failure = (overrides?: Partial<AttemptFailed>): AttemptFailed => ({
  kind: "ECONNREFUSED",
  retryable: true,
  retryAfter: undefined,
  ...overrides
})

/** Fails `failures` times, then succeeds; keeps when it was tried. */
const attempts = (failures: number, failed = failure()) => {
  const times: Array<number> = []
  const attempt = (number: number) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      times.push(now)
      return number < failures ? Effect.fail(failed) : Effect.succeed(number)
    })
  return { times, attempt }
}

const gaps = (times: ReadonlyArray<number>) => times.slice(1).map((time, index) => time - times[index]!)

describe("retry", () => {
  it.effect("repeats with delays that double up to the greatest, each between half and all of it", () =>
    Effect.gen(function*() {
      const { attempt, times } = attempts(6)
      const fiber = yield* Effect.forkChild(retry(policy, attempt, () => {}))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), 6)
      const expected = [100, 200, 400, 800, 1000, 1000]
      for (const [index, gap] of gaps(times).entries()) {
        assert.isAtLeast(gap, expected[index]! / 2)
        assert.isAtMost(gap, expected[index]! + 1)
      }
    }))

  it.effect("does not repeat what would fail again", () =>
    Effect.gen(function*() {
      const { attempt, times } = attempts(9, failure({ kind: "400 InvalidKey", retryable: false }))
      const failed = yield* Effect.flip(retry(policy, attempt, () => assert.fail("retried")))
      assert.strictEqual(failed.kind, "400 InvalidKey")
      assert.strictEqual(times.length, 1)
    }))

  it.effect("gives up with the last failure when the next attempt would begin too late", () =>
    Effect.gen(function*() {
      const { attempt, times } = attempts(Number.POSITIVE_INFINITY)
      const fiber = yield* Effect.forkChild(Effect.flip(retry(policy, attempt, () => {})))
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).kind, "ECONNREFUSED")
      assert.isAtMost(times.at(-1)! - times[0]!, 10_000)
      assert.isAtLeast(times.at(-1)! - times[0]!, 8_900)
    }))

  it.effect("waits as long as the server asks, within the greatest delay", () =>
    Effect.gen(function*() {
      for (const [asked, waited] of [["700 millis", 700], ["60 seconds", 1000]] as const) {
        const { attempt, times } = attempts(1, failure({ retryAfter: Duration.fromInputUnsafe(asked) }))
        const fiber = yield* Effect.forkChild(retry(policy, attempt, () => {}))
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(gaps(times), [waited])
      }
    }))

  it.effect("tells of each failure that it repeats", () =>
    Effect.gen(function*() {
      const heard: Array<string> = []
      const fiber = yield* Effect.forkChild(retry(policy, attempts(3).attempt, ({ kind }) => heard.push(kind)))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(heard, ["ECONNREFUSED", "ECONNREFUSED", "ECONNREFUSED"])
    }))
})
