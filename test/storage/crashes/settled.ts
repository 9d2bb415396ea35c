/** Waits for effects of a store on virtual time: the clock goes on only when nothing else does. */
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { DiskError, type StorageError } from "../../../src/disk/StorageError.ts"

/** The turns that others get before time passes: more than a short read or write takes. */
const turnsPerStep = 50

/** Of a tenth of a second each. A store that is silent for so long hangs. */
const stepsMax = 3000

/** Whoever asks a process that is dead waits for so long, when it does not hear that it is. */
const stepsAfterDeath = 20

export const settled = Effect.fnUntraced(function*<A, E>(
  effect: Effect.Effect<A, E>,
  isDead: () => boolean = () => false
): Effect.fn.Return<A, E | StorageError> {
  const fiber = yield* Effect.forkChild(effect)
  let stepsDead = 0
  for (let step = 0; step < stepsMax && stepsDead < stepsAfterDeath; step++) {
    for (let turn = 0; turn < turnsPerStep; turn++) {
      const exit = fiber.pollUnsafe()
      if (exit !== undefined) return yield* exit
      yield* Effect.yieldNow
    }
    yield* TestClock.adjust("100 millis")
    if (isDead()) stepsDead++
  }
  yield* Fiber.interrupt(fiber)
  if (stepsDead > 0) return yield* new DiskError({ operation: "wait", path: "", code: "KILLED" })
  return yield* Effect.die(new Error("it hangs"))
})
