/** Nobody waits for a dead process for ever. */
import { Effect } from "effect"
import { DiskError, type StorageError } from "../../../src/disk/StorageError.ts"

/** Waits for so long for a process that has died, since it does not hear of that. */
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
