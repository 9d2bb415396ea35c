import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Clock, Duration, Effect, Exit, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Deadlines from "../../src/coordinator/Deadlines.ts"
import { settle } from "./requests.ts"

/** Deadlines that write down when they expired. */
const start = Effect.fnUntraced(function*() {
  const deadlines = yield* Deadlines.make
  const expired: Array<readonly [name: string | number, at: number]> = []
  const after = (millis: number, name: string | number = millis) =>
    deadlines.at(deadlines.nowMillis() + millis, () => expired.push([name, deadlines.nowMillis()]))
  return { deadlines, expired, after }
})

const isOfMillis = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

describe("Deadlines", () => {
  it.effect("leaves out a cancelled one, first or last of its distance, and harms no other", () =>
    Effect.gen(function*() {
      const { after, expired } = yield* start()
      const [first, , , last] = ["a", "b", "c", "d"].map((name) => after(10, name))
      first!.cancel()
      last!.cancel()
      last!.cancel()
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(expired.map(([name]) => name), ["b", "c"])
      first!.cancel()
      after(10, "e")
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(expired.at(-1), ["e", 20])
    }))

  it.effect("expires one that is already due, but not before the caller continues", () =>
    Effect.gen(function*() {
      const { after, expired } = yield* start()
      after(0)
      after(-5)
      assert.deepStrictEqual(expired, [])
      yield* settle
      assert.deepStrictEqual(expired, [[0, 0], [-5, 0]])
    }))

  it.effect("keeps one that an expiring one sets, and none that it cancels", () =>
    Effect.gen(function*() {
      const { after, deadlines, expired } = yield* start()
      const cancelled = deadlines.at(10, () => assert.fail("cancelled by another of the same moment"))
      const setting = deadlines.at(5, () => {
        after(5, "set later")
        after(0, "set for now")
        cancelled.cancel()
      })
      yield* TestClock.adjust(5)
      setting.cancel()
      yield* settle
      assert.deepStrictEqual(expired, [["set for now", 5]])
      yield* TestClock.adjust(5)
      assert.deepStrictEqual(expired.at(-1), ["set later", 10])
    }))

  it.effect("sleeps for nothing that is not set", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      let sleeps = 0
      const counting: Clock.Clock = Object.assign(Object.create(clock), {
        sleep: (duration: Parameters<Clock.Clock["sleep"]>[0]) => {
          sleeps++
          return clock.sleep(duration)
        }
      })
      const { after, deadlines } = yield* Effect.provideService(start(), Clock.Clock, counting)
      assert.strictEqual(sleeps, 0)
      after(10).cancel()
      after(20).cancel()
      after(1000)
      yield* TestClock.adjust(10_000)
      assert.strictEqual(deadlines.nowMillis(), 10_000)
      // Until the first, which was cancelled, then until the last.
      assert.strictEqual(sleeps, 2)
    }))

  it.effect("waits again after a sleep that ended early", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const hasty: Clock.Clock = Object.assign(Object.create(clock), {
        sleep: (duration: Parameters<Clock.Clock["sleep"]>[0]) =>
          clock.sleep(Duration.min(duration, Duration.millis(1)))
      })
      const { after, expired } = yield* Effect.provideService(start(), Clock.Clock, hasty)
      after(5)
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(expired, [[5, 5]])
    }))

  it.effect("meets the others when one throws", () =>
    Effect.gen(function*() {
      const { after, deadlines, expired } = yield* start()
      deadlines.at(10, () => {
        throw new Error("a bug")
      })
      after(10)
      after(20)
      yield* TestClock.adjust(20)
      yield* settle
      assert.deepStrictEqual(expired, [[10, 10], [20, 20]])
    }))

  it.effect("lets nobody wait for ever when its scope closes, or later", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { after, expired } = yield* Scope.provide(start(), scope)
      after(10)
      after(20)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(expired, [[10, 0], [20, 0]])
      yield* TestClock.adjust("1 second")
      after(30)
      yield* settle
      assert.deepStrictEqual(expired.at(-1), [30, 1000])
    }))

  it.effect.prop("expires each exactly at its time, while others are set and cancelled", {
    steps: Arbitrary.array(
      Arbitrary.all({ millis: isOfMillis(1, 40), pause: isOfMillis(0, 15), cancels: isOfMillis(0, 3) }),
      { maxLength: 60 }
    )
  }, ({ steps }) =>
    Effect.gen(function*() {
      const { after, deadlines, expired } = yield* start()
      const expected = new Map<number, number>()
      const set: Array<Deadlines.Deadline> = []
      for (const [index, { cancels, millis, pause }] of steps.entries()) {
        expected.set(index, deadlines.nowMillis() + millis)
        set.push(after(millis, index))
        const victim = Math.floor(index / 2)
        if (cancels === 0 && !expired.some(([name]) => name === victim)) {
          set[victim]!.cancel()
          expected.delete(victim)
        }
        yield* TestClock.adjust(pause)
      }
      yield* TestClock.adjust(100)
      const byName = expired.toSorted(([left], [right]) => Number(left) - Number(right))
      assert.deepStrictEqual(byName, [...expected].toSorted(([left], [right]) => left - right))
    }).pipe(Effect.scoped), { arbitrary: { runs: 100 } })
})
