/** Waits for effects of a store on virtual time: the clock goes on only when nothing else does. */
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"

/** The turns that others get before time passes: more than a short read or write takes. */
const turnsPerStep = 50

/** Of a tenth of a second each. A store that is silent for so long hangs. */
const stepsMax = 20_000

export const settled = Effect.fnUntraced(function*<A, E>(effect: Effect.Effect<A, E>): Effect.fn.Return<A, E> {
  const fiber = yield* Effect.forkChild(effect)
  for (let step = 0; step < stepsMax; step++) {
    for (let turn = 0; turn < turnsPerStep; turn++) {
      const exit = fiber.pollUnsafe()
      if (exit !== undefined) return yield* exit
      yield* Effect.yieldNow
    }
    yield* TestClock.adjust("100 millis")
  }
  yield* Fiber.interrupt(fiber)
  return yield* Effect.die(new Error("it hangs"))
})
