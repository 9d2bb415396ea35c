/** Fails calls to a process that has died. */
import { Effect } from "effect"
import { DiskError, type StorageError } from "../../../src/disk/StorageError.ts"

const patience = "2 seconds"

export const orGiveUp = <A, E>(
  effect: Effect.Effect<A, E>,
  isDead: () => boolean
): Effect.Effect<A, E | StorageError> => Effect.raceFirst(effect, afterDeath(isDead))

const afterDeath = Effect.fnUntraced(function*(isDead: () => boolean) {
  while (!isDead()) yield* Effect.sleep("100 millis")
  yield* Effect.sleep(patience)
  return yield* new DiskError({ operation: "wait", path: "", code: "KILLED" })
})
