/**
 * A loop in the background that a defect does not end: nobody waits for such a fiber, so its end would go unnoticed
 * while the node looks well.
 */
import { Cause, Effect } from "effect"

/** A loop that dies at once should not fill the log. */
const pause = "1 second"

/** Logs a defect that ends the work, and starts it again after a second. */
export const restarting = <A>(name: string, work: Effect.Effect<A>): Effect.Effect<A> =>
  Effect.catchCause(work, (cause) =>
    Cause.hasInterruptsOnly(cause)
      ? Effect.failCause(cause)
      : Effect.logError(`${name} died of a defect; restarting it`, cause).pipe(
        Effect.andThen(Effect.sleep(pause)),
        Effect.andThen(Effect.suspend(() => restarting(name, work)))
      ))
