/** `rondo put`: writes one value. */
import { Effect, FileSystem, Option, Stdio, Stream } from "effect"
import { Argument, Command } from "effect/cli"
import { CommandFailed, report } from "./CommandFailed.ts"
import * as flags from "./flags.ts"
import { printLine } from "./Output.ts"
import * as target from "./target.ts"

const defaultTextType = "text/plain; charset=utf-8"
const defaultBytesType = "application/octet-stream"

const readStdin = Effect.gen(function*() {
  const { stdin } = yield* Stdio.Stdio
  return Buffer.concat(yield* Stream.runCollect(stdin))
})

const readValue = Effect.fnUntraced(function*(value: Option.Option<string>, file: Option.Option<string>) {
  if (Option.isSome(value)) return { bytes: Buffer.from(value.value), contentType: defaultTextType }
  const bytes = Option.isNone(file) || file.value === "-"
    ? yield* readStdin
    : yield* Effect.flatMap(FileSystem.FileSystem, (files) => files.readFile(file.value))
  return { bytes, contentType: defaultBytesType }
}, Effect.mapError((error) => new CommandFailed({ message: `cannot read the value: ${error.message}` })))

export const put = Command.make("put", {
  key: Argument.String("key").pipe(Argument.withDescription("Key to write, such as users/42")),
  value: Argument.String("value").pipe(
    Argument.withDescription("The value; without it, --file or standard input is read"),
    Argument.optional
  ),
  file: flags.text("file", "File to read the value from; - is standard input"),
  type: flags.text("type", "Content type to store with the value"),
  url: target.url,
  w: target.writeQuorum,
  timeout: target.timeout
}, ({ file, key: keyText, timeout, type, url, value, w }) =>
  report(Effect.gen(function*() {
    if (Option.isSome(value) && Option.isSome(file)) {
      return yield* new CommandFailed({ message: "give the value or --file, not both" })
    }
    const key = yield* target.checkedKey(keyText)
    const urls = yield* target.parseUrls(url)
    const { bytes, contentType } = yield* readValue(value, file)
    const answer = yield* target.ask(urls, {
      method: "PUT",
      path: target.keyPath(key) + target.query({ w, timeout }),
      headers: { "content-type": Option.getOrElse(type, () => contentType) },
      body: bytes
    })
    if (answer.status !== 201 && answer.status !== 204) {
      return yield* new CommandFailed({ message: target.describeProblem(answer) })
    }
    yield* printLine(`${answer.status === 201 ? "created" : "replaced"} ${key} ${answer.headers["etag"] ?? ""}`.trim())
  }))).pipe(
    Command.withDescription("Write a value"),
    Command.withExamples([
      { command: "rondo put greeting hello", description: "Write a word" },
      { command: "rondo put logo --file logo.png --type image/png", description: "Write a file" },
      { command: "date | rondo put now --w all", description: "Write standard input to every replica" }
    ])
  )
