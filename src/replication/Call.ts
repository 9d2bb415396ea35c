/**
 * Effects started by plain calls: for the fan-out of a quorum, most of whose requests do nothing but wait for their
 * place in a peer's queue. A fiber to wait in costs several times what that place does.
 *
 * Whoever starts a call owns it: `toEffect`, or a quorum inside its own effect, cancels it when interrupted.
 */
import { type Context, Effect, type Exit } from "effect"

/** Told once how the call ended, perhaps before the call returns. */
export type Done<A, E> = (exit: Exit.Exit<A, E>) => void

/** Gives the call up. Whether `done` is still told is open, and no longer matters. */
export type Cancel = () => void

/** Starts effects that do need a fiber. */
export const starter = (context: Context.Context<never>) => {
  const run = Effect.runForkWith(context)
  return <A, E>(effect: Effect.Effect<A, E>, done: Done<A, E>): Cancel => {
    const fiber = run(effect)
    fiber.addObserver(done)
    return () => fiber.interruptUnsafe()
  }
}

export const toEffect = <A, E>(start: (done: Done<A, E>) => Cancel): Effect.Effect<A, E> =>
  Effect.callback((resume) => Effect.sync(start(resume)))
