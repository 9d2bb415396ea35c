/**
 * Leaf: the terminal, or the pipe or file in its place. Results go to standard output, everything else to standard
 * error.
 */
import { Context, Effect, Layer } from "effect"

/** Prints one line of a command's result. */
export const printLine = (line: string): Effect.Effect<void, never, Output> =>
  Effect.flatMap(Output, ({ result }) => result(`${line}\n`))

/** Prints a command's result for programs or for people. */
export const print = (isJson: boolean, result: unknown, text: string) =>
  printLine(isJson ? JSON.stringify(result) : text)

export class Output extends Context.Service<Output, {
  /** Bytes as they are. Completes when the receiver took them; interrupts when it went away. */
  readonly result: (bytes: Uint8Array | string) => Effect.Effect<void>
  readonly notice: (text: string) => Effect.Effect<void>
  readonly resultIsTerminal: boolean
  readonly noticeIsTerminal: boolean
  /** Columns of the terminal; 80 when there is none. */
  readonly columns: () => number
}>()("rondo/cli/Output") {
  static readonly layer = Layer.sync(Output, () => {
    // Without a listener, a reader that goes away would end the process in the middle of its work.
    process.stdout.on("error", () => {})
    process.stderr.on("error", () => {})
    return {
      result: (bytes) =>
        Effect.callback((resume) => {
          // The reader is gone (`| head`), so there is nothing left to do.
          process.stdout.write(bytes, (error) => resume(error ? Effect.interrupt : Effect.void))
        }),
      notice: (text) =>
        Effect.sync(() => {
          process.stderr.write(text)
        }),
      resultIsTerminal: process.stdout.isTTY === true,
      noticeIsTerminal: process.stderr.isTTY === true,
      columns: () => process.stderr.columns ?? 80
    }
  })

  /** Keeps the output in memory. */
  static readonly layerMemory = (written: { result: string; notice: string }, isTerminal = false) =>
    Layer.succeed(Output, {
      result: (bytes) =>
        Effect.sync(() => {
          written.result += typeof bytes === "string" ? bytes : Buffer.from(bytes).toString()
        }),
      notice: (text) =>
        Effect.sync(() => {
          written.notice += text
        }),
      resultIsTerminal: isTerminal,
      noticeIsTerminal: isTerminal,
      columns: () => 80
    })
}
