/**
 * `rondo import`: writes the records of a file, or with `--verify` reads every one back and compares. At most
 * `--concurrency` records are in flight. A put may be repeated safely, so one that fails for a passing reason is
 * retried, at the next node of `--url`.
 */
import { NodeStream } from "@effect/platform-node"
import { Duration, Effect, FileSystem, Option, PlatformError, Schedule, Stdio, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { createGunzip } from "node:zlib"
import { failed } from "./CommandFailed.ts"
import * as flags from "./flags.ts"
import { type Answer, Http } from "./Http.ts"
import { type Line, split } from "./lines.ts"
import { Output, printLine } from "./Output.ts"
import * as Record from "./record.ts"
import * as retry from "./retry.ts"
import * as Tally from "./Tally.ts"
import * as target from "./target.ts"

/** Lines with errors that are named; the summary counts all. */
const complaintsMax = 20
const answerTimeout = Duration.seconds(20)

interface Options {
  readonly file: string
  readonly urls: ReadonlyArray<string>
  readonly query: string
  readonly concurrency: number
  readonly giveUpAfter: Duration.Duration
  readonly verify: boolean
  readonly quiet: boolean
}

/** The file's lines; `tally` follows how much of it was read. */
const lines = (file: string, tally: Tally.Tally) =>
  Stream.unwrap(Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const { stdin } = yield* Stdio.Stdio
    const sizeBytes = file === "-" ? undefined : Number((yield* files.stat(file)).size)
    let readBytes = 0
    return (file === "-" ? stdin : files.stream(file)).pipe(
      Stream.tap((bytes) =>
        Effect.sync(() => {
          readBytes += bytes.length
          if (sizeBytes !== undefined && sizeBytes > 0) tally.fraction = Math.min(readBytes / sizeBytes, 1)
        })
      ),
      unzipped(file),
      split
    )
  })).pipe(Stream.mapError((error) =>
    failed(`cannot read ${file}: ${isMissing(error) ? "there is no such file" : error.message}`)
  ))

const isMissing = (error: { readonly message: string }): boolean =>
  error instanceof PlatformError.PlatformError && error.reason._tag === "NotFound"

const unzipped = (file: string) => <E extends { readonly message: string }>(bytes: Stream.Stream<Uint8Array, E>) =>
  file.endsWith(".gz")
    ? NodeStream.pipeThroughDuplex(bytes, {
      evaluate: () => createGunzip(),
      onError: (cause) => ({ message: `not whole gzip (${cause instanceof Error ? cause.message : cause})` })
    })
    : bytes

const retryAfter = (answer: Answer): Duration.Duration | undefined => {
  const seconds = Number(answer.headers["retry-after"])
  return Number.isFinite(seconds) && seconds >= 0 ? Duration.seconds(seconds) : undefined
}

const refused = (answer: Answer): retry.AttemptFailed => ({
  kind: target.problemKind(answer),
  // 5xx is about the state of the node, 429 about its load: both pass. Other statuses are about the record.
  retryable: answer.status >= 500 && answer.status !== 507 || answer.status === 429,
  retryAfter: retryAfter(answer)
})

const wrong = (kind: string): retry.AttemptFailed => ({ kind, retryable: false, retryAfter: undefined })

/** Writes one record, or reads it back, at one node. */
const attempt = (http: Http["Service"], options: Options, record: Record.Record, origin: string) =>
  http.send({
    origin,
    method: options.verify ? "GET" : "PUT",
    path: target.keyPath(record.key) + options.query,
    headers: options.verify ? { accept: "*/*" } : { "content-type": record.contentType },
    ...(options.verify ? {} : { body: record.bytes })
  }).pipe(
    Effect.timeout(answerTimeout),
    Effect.mapError((error) => ({ ...wrong(error._tag === "TimeoutError" ? "timeout" : error.code), retryable: true })),
    Effect.flatMap((answer) => {
      if (!options.verify) {
        return answer.status === 201 || answer.status === 204
          ? Effect.void
          : Effect.fail(refused(answer))
      }
      if (answer.status === 404) return Effect.fail(wrong("absent"))
      if (answer.status !== 200) return Effect.fail(refused(answer))
      return answer.body.equals(record.bytes) ? Effect.void : Effect.fail(wrong("different bytes"))
    })
  )

/** Sends every record; the tally holds the outcome. */
export const run = (options: Options, tally: Tally.Tally) =>
  Effect.gen(function*() {
    const http = yield* Http
    const output = yield* Output
    const schedule = Schedule.tap(retry.schedule(options.giveUpAfter), ({ input }) =>
      Effect.sync(() => {
        tally.retried++
        Tally.countError(tally, input.kind)
      }))
    let turn = 0
    let complaints = 0
    const complain = (line: number, reason: string) => {
      tally.failed++
      Tally.countError(tally, reason)
      if (++complaints > complaintsMax || options.quiet) return Effect.void
      const more = complaints === complaintsMax ? " (further lines are only counted)" : ""
      return output.notice(`${output.noticeIsTerminal ? "\r\x1b[K" : ""}line ${line}: ${reason}${more}\n`)
    }
    const send = (line: Line) => {
      if (line.text === undefined) return complain(line.number, "longer than 16 MiB")
      if (line.text.trim() === "") return Effect.void
      const record = Record.decode(line.text)
      if (record._tag === "Failure") return complain(line.number, record.failure)
      let next = turn++
      const doneBefore = tally.done
      const trial = Effect.suspend(() =>
        attempt(http, options, record.success, options.urls[next++ % options.urls.length]!)
      )
      return Effect.matchEffect(Effect.retry(trial, schedule), {
        onFailure: (failure) =>
          // No node took any record in all that time: the other records would fail too, after a minute each.
          failure.retryable && tally.done === doneBefore
            ? Effect.fail(nobodyAnswers(options, failure.kind))
            : complain(line.number, failure.kind),
        onSuccess: () =>
          Effect.sync(() => {
            tally.done++
          })
      })
    }
    yield* lines(options.file, tally).pipe(
      Stream.mapEffect(send, { concurrency: options.concurrency, unordered: true }),
      Stream.runDrain
    )
  })

const nobodyAnswers = ({ giveUpAfter, urls }: Options, kind: string) =>
  failed(
    `no record got through to ${urls.join(", ")} for ${Duration.format(giveUpAfter)} (${kind}): ` +
      "start the nodes, or name others with --url; importing the file again is safe"
  )

export const importRecords = Command.make(
  "import",
  {
    file: Argument.String("file").pipe(
      Argument.withDescription(
        "File of lines such as {\"key\":\"a\",\"value\":\"b\"}; .gz is decompressed, - is standard input"
      )
    ),
    url: target.url,
    concurrency: flags.integer("concurrency", "Records in flight", 64, { minimum: 1, maximum: 4096 }),
    verify: flags.onOff("verify", "Write nothing: read every record back and compare byte for byte"),
    retrySeconds: Flag.Finite("retry-seconds").pipe(
      Flag.withDescription("How long to retry a record that cannot be written now (default 60)"),
      Flag.withDefault(60)
    ),
    quiet: flags.quiet,
    json: flags.json,
    w: target.writeQuorum,
    r: target.readQuorum,
    timeout: target.timeout
  },
  Effect.fnUntraced(function*({ json, r, timeout, w, ...given }) {
    const { quiet, verify } = given
    if (verify && Option.isSome(w)) return yield* failed("--verify reads: use --r, not --w")
    if (!verify && Option.isSome(r)) return yield* failed("--r is for --verify: use --w")
    const tally = Tally.make(verify ? "verify" : "import")
    const options: Options = {
      ...given,
      urls: yield* target.parseUrls(given.url),
      query: target.query({ w, r, timeout }),
      giveUpAfter: Duration.seconds(given.retrySeconds)
    }
    const { seconds } = yield* Tally.during(tally, quiet, run(options, tally))
    yield* printLine(Tally.summary(tally, verify ? "verified" : "imported", seconds, json))
    if (tally.failed > 0) {
      return yield* failed(
        `${Tally.count(tally.failed)} records ${verify ? "differ from the file" : "were not written"}`
      )
    }
  })
).pipe(
  Command.withDescription("Write the records of a file of JSON lines, or check them with --verify"),
  Command.withExamples([
    { command: "rondo import packages.ndjson.gz", description: "Write a file of records" },
    {
      command: "rondo import packages.ndjson.gz --url localhost:8081,localhost:8082,localhost:8083",
      description: "Spread the work over three nodes"
    },
    {
      command: "rondo import packages.ndjson.gz --verify --r one --url localhost:8082",
      description: "Read every record back from one node"
    }
  ])
)
