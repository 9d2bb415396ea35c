/** `rondo get`: reads one value. */
import { Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { CommandFailed, report } from "./CommandFailed.ts"
import * as flags from "./flags.ts"
import { Output } from "./Output.ts"
import * as target from "./target.ts"

export const get = Command.make("get", {
  key: Argument.String("key").pipe(Argument.withDescription("Key to read")),
  json: flags.onOff("json", "Print key, value and version as JSON instead of the bytes"),
  url: target.url,
  r: target.readQuorum,
  timeout: target.timeout
}, ({ json, key: keyText, r, timeout, url }) =>
  report(Effect.gen(function*() {
    const output = yield* Output
    const key = yield* target.checkedKey(keyText)
    const answer = yield* target.ask(yield* target.parseUrls(url), {
      method: "GET",
      path: target.keyPath(key) + target.query({ r, timeout }),
      headers: { accept: json ? "application/json" : "*/*" }
    })
    if (answer.status === 404) return yield* new CommandFailed({ message: `key not found: ${key}` })
    if (answer.status !== 200) return yield* new CommandFailed({ message: target.describeProblem(answer) })
    yield* output.result(answer.body)
    // A shell's prompt would stick to the value; a pipe gets the bytes alone.
    if (json || output.resultIsTerminal) yield* output.result("\n")
  }))).pipe(
    Command.withDescription("Print a value to standard output; exit code 1 when there is none"),
    Command.withExamples([
      { command: "rondo get greeting", description: "Print the value" },
      { command: "rondo get logo > logo.png", description: "Save the value" },
      { command: "rondo get greeting --json", description: "Print key, value and version" }
    ])
  )
