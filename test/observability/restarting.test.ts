import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { restarting } from "../../src/observability/restarting.ts"

it.effect("a loop that died starts again after a second, not before, as often as it dies", () =>
  Effect.gen(function*() {
    let starts = 0
    const loop = Effect.suspend((): Effect.Effect<never> => {
      starts++
      return Effect.die(new Error("a defect"))
    })
    yield* Effect.forkChild(restarting("the loop", loop), { startImmediately: true })
    yield* TestClock.adjust("999 millis")
    assert.strictEqual(starts, 1)
    yield* TestClock.adjust("1 millis")
    assert.strictEqual(starts, 2)
    yield* TestClock.adjust("1 second")
    assert.strictEqual(starts, 3)
  }))

it.effect("interruption ends the loop, while it runs and while it waits to start again", () =>
  Effect.gen(function*() {
    let starts = 0
    const once = (then: Effect.Effect<never>) =>
      restarting("the loop", Effect.andThen(Effect.sync(() => starts++), then))
    const running = yield* Effect.forkChild(once(Effect.never), { startImmediately: true })
    const waiting = yield* Effect.forkChild(once(Effect.die("a defect")), { startImmediately: true })
    yield* Fiber.interrupt(running)
    yield* Fiber.interrupt(waiting)
    assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(running)))
    assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(waiting)))
    yield* TestClock.adjust("1 minute")
    assert.strictEqual(starts, 2)
  }))
