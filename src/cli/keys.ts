/** `rondo put`, `get` and `delete`: the commands of one key. */
import { Effect, FileSystem, Option, Stdio, Stream } from "effect"
import { Argument, Command } from "effect/cli"
import { failed } from "./CommandFailed.ts"
import * as flags from "./flags.ts"
import { Output, printLine } from "./Output.ts"
import * as Record from "./record.ts"
import * as target from "./target.ts"

const keyArgument = (description: string) => Argument.String("key").pipe(Argument.withDescription(description))

const readStdin = Effect.gen(function*() {
  const { stdin } = yield* Stdio.Stdio
  return Buffer.concat(yield* Stream.runCollect(stdin))
})

const readValue = Effect.fnUntraced(function*(value: Option.Option<string>, file: Option.Option<string>) {
  if (Option.isSome(value)) return { bytes: Buffer.from(value.value), contentType: Record.textType }
  const bytes = Option.isNone(file) || file.value === "-"
    ? yield* readStdin
    : yield* Effect.flatMap(FileSystem.FileSystem, (files) => files.readFile(file.value))
  return { bytes, contentType: Record.binaryType }
}, Effect.mapError((error) => failed(`cannot read the value: ${error.message}`)))

export const put = Command.make(
  "put",
  {
    key: keyArgument("Key to write, such as users/42"),
    value: Argument.String("value").pipe(
      Argument.withDescription("The value; without it, --file or standard input is read"),
      Argument.optional
    ),
    file: flags.text("file", "File to read the value from; - is standard input"),
    type: flags.text("type", "Content type to store with the value"),
    url: target.url,
    w: target.writeQuorum,
    timeout: target.timeout
  },
  Effect.fnUntraced(function*({ file, key, timeout, type, url, value, w }) {
    if (Option.isSome(value) && Option.isSome(file)) return yield* failed("give the value or --file, not both")
    const keyPath = yield* target.checkedKeyPath(key)
    const urls = yield* target.parseUrls(url)
    const { bytes, contentType } = yield* readValue(value, file)
    const { headers, status } = yield* target.ask(urls, [201, 204], {
      method: "PUT",
      path: keyPath + target.query({ w, timeout }),
      headers: { "content-type": Option.getOrElse(type, () => contentType) },
      body: bytes
    })
    yield* printLine(`${status === 201 ? "created" : "replaced"} ${key} ${headers["etag"] ?? ""}`.trim())
  })
).pipe(
  Command.withDescription("Write a value"),
  Command.withExamples([
    { command: "rondo put greeting hello", description: "Write a word" },
    { command: "rondo put logo --file logo.png --type image/png", description: "Write a file" },
    { command: "date | rondo put now --w all", description: "Write standard input to every replica" }
  ])
)

export const get = Command.make(
  "get",
  {
    key: keyArgument("Key to read"),
    json: flags.onOff("json", "Print key, value and version as JSON instead of the bytes"),
    url: target.url,
    r: target.readQuorum,
    timeout: target.timeout
  },
  Effect.fnUntraced(function*({ json, key, r, timeout, url }) {
    const output = yield* Output
    const keyPath = yield* target.checkedKeyPath(key)
    const { body, status } = yield* target.ask(yield* target.parseUrls(url), [200, 404], {
      method: "GET",
      path: keyPath + target.query({ r, timeout }),
      headers: { accept: json ? "application/json" : "*/*" }
    })
    if (status === 404) return yield* failed(`key not found: ${key}`)
    yield* output.result(body)
    // A shell's prompt would stick to the value; a pipe gets the bytes alone.
    if (json || output.resultIsTerminal) yield* output.result("\n")
  })
).pipe(
  Command.withDescription("Print a value to standard output; exit code 1 when there is none"),
  Command.withExamples([
    { command: "rondo get greeting", description: "Print the value" },
    { command: "rondo get logo > logo.png", description: "Save the value" },
    { command: "rondo get greeting --json", description: "Print key, value and version" }
  ])
)

export const remove = Command.make(
  "delete",
  {
    key: keyArgument("Key to delete"),
    url: target.url,
    w: target.writeQuorum,
    timeout: target.timeout
  },
  Effect.fnUntraced(function*({ key, timeout, url, w }) {
    const keyPath = yield* target.checkedKeyPath(key)
    const request = { method: "DELETE", path: keyPath + target.query({ w, timeout }) } as const
    yield* target.ask(yield* target.parseUrls(url), [204], request)
    yield* printLine(`deleted ${key}`)
  })
).pipe(
  Command.withDescription("Delete a key; deleting a key that does not exist succeeds"),
  Command.withExamples([{ command: "rondo delete greeting", description: "Delete a key" }])
)
