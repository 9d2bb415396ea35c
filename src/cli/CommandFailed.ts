/** The failure of a command: one sentence for people, and the exit code for scripts. */
import { Effect, Runtime, Schema } from "effect"
import { Output } from "./Output.ts"

export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", { message: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 1
  /** `report` prints the sentence; a stack trace below it would only hide it. */
  override readonly [Runtime.errorReported] = false
}

export const failed = (message: string): CommandFailed => new CommandFailed({ message })

/** Prints the sentence on standard error before it ends the program. */
export const report = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Output> =>
  Effect.tapError(self, (error) =>
    error instanceof CommandFailed
      ? Effect.flatMap(Output, ({ notice }) => notice(`rondo: ${error.message}\n`))
      : Effect.void)
