/** One effect on virtual time, without a cluster. */
import { Cause, Context, Duration, Effect, Exit, type Scope } from "effect"
import * as SeededRandom from "../domain/SeededRandom.ts"
import { Process, World } from "./World.ts"

/** An effect that takes longer hangs. */
const patience = Duration.days(365)

/**
 * Runs an effect to its end, synchronously: time passes when all its fibers wait, and only then. Throws the error of
 * the effect, and when the effect hangs.
 */
export const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>, seed = 1): A => {
  const world = new World()
  const process = new Process(world, "virtual time", SeededRandom.make(seed), Context.empty())
  const fiber = process.run(Effect.scoped(effect), Context.empty(), () => {})
  world.runUntil(() => fiber.pollUnsafe() !== undefined, Duration.toMillis(patience))
  const exit = fiber.pollUnsafe()
  if (exit === undefined) throw new Error("it hangs")
  if (Exit.isSuccess(exit)) return exit.value
  throw Cause.squash(exit.cause)
}
