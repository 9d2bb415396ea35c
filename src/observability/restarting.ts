/**
 * A loop in the background that a defect does not end: nobody waits for such a fiber, so its end would go unnoticed
 * while the node looks well.
 */
import { Cause, Effect } from "effect"

/** A loop that dies at once should not fill the log. */
const pause = "1 second"

/** Logs what ended the loop and starts it again after a second; only interruption ends it. */
export const restarting = (name: string, loop: Effect.Effect<never, never>): Effect.Effect<never> =>
  Effect.catchCause(loop, (cause) =>
    Cause.hasInterruptsOnly(cause)
      ? Effect.failCause(cause)
      : Effect.logError(`${name} ended by a defect, which starts it again`, cause).pipe(
        Effect.andThen(Effect.sleep(pause)),
        Effect.andThen(Effect.suspend(() => restarting(name, loop)))
      ))
