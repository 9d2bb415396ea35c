/** `rondo delete`: deletes one key. */
import { Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { CommandFailed, report } from "./CommandFailed.ts"
import { printLine } from "./Output.ts"
import * as target from "./target.ts"

export const remove = Command.make("delete", {
  key: Argument.String("key").pipe(Argument.withDescription("Key to delete")),
  url: target.url,
  w: target.writeQuorum,
  timeout: target.timeout
}, ({ key: keyText, timeout, url, w }) =>
  report(Effect.gen(function*() {
    const key = yield* target.checkedKey(keyText)
    const answer = yield* target.ask(yield* target.parseUrls(url), {
      method: "DELETE",
      path: target.keyPath(key) + target.query({ w, timeout })
    })
    if (answer.status !== 204) return yield* new CommandFailed({ message: target.describeProblem(answer) })
    yield* printLine(`deleted ${key}`)
  }))).pipe(
    Command.withDescription("Delete a key; deleting a key that does not exist succeeds"),
    Command.withExamples([{ command: "rondo delete greeting", description: "Delete a key" }])
  )
