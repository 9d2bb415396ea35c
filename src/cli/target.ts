/** Which cluster a command talks to, and how: flags, requests and answers that the commands share. */
import { Duration, Effect, Option, Schema } from "effect"
import { Flag } from "effect/cli"
import * as environment from "../config/environment.ts"
import { Key } from "../domain/Key.ts"
import { type CommandFailed, failed } from "./CommandFailed.ts"
import * as flags from "./flags.ts"
import { type Answer, Http, type Request } from "./Http.ts"

const defaultUrl = "http://127.0.0.1:8081"

/** Longer than the longest deadline that a node keeps by default. */
const answerTimeout = Duration.seconds(30)
const pageTimeout = Duration.seconds(10)

const parseUrl = (text: string): string | undefined => {
  const parsed = URL.parse(/^https?:\/\//.test(text) ? text : `http://${text}`)
  return parsed === null || parsed.hostname === "" || parsed.pathname !== "/" || parsed.search !== ""
    ? undefined
    : parsed.origin
}

/** `host:port` or `http://host:port`, separated by commas. */
export const parseUrls = (text: string): Effect.Effect<ReadonlyArray<string>, CommandFailed> => {
  const parts = text.split(",").map((part) => part.trim()).filter((part) => part !== "")
  return parts.length === 0
    ? Effect.fail(failed(`--url names no node: give an address, such as ${defaultUrl}`))
    : Effect.forEach(parts, (part) => {
      const url = parseUrl(part)
      return url === undefined
        ? Effect.fail(failed(`--url: "${part}" is not the address of a node, such as ${defaultUrl}`))
        : Effect.succeed(url)
    })
}

export const url = Flag.String("url").pipe(
  Flag.withDescription(`Nodes to talk to, separated by commas (RONDO_URL, default ${defaultUrl})`),
  Flag.withFallbackConfig(environment.url),
  Flag.withDefault(defaultUrl)
)

export const writeQuorum = flags.text(
  "w",
  "Replicas that must take the write: a number, one, quorum or all (default: the cluster's W)"
)
export const readQuorum = flags.text(
  "r",
  "Replicas that must answer the read: a number, one, quorum or all (default: the cluster's R)"
)
export const timeout = flags.text(
  "timeout",
  "How long the node may take, such as 500ms or 2s (default: its REQUEST_TIMEOUT)"
)

/** `?w=2&timeout=500`, or nothing. */
export const query = (options: Readonly<Record<string, Option.Option<string>>>): string => {
  const parameters = Object.entries(options).flatMap(([name, value]) =>
    Option.isSome(value) ? [`${name}=${encodeURIComponent(value.value)}`] : []
  )
  return parameters.length === 0 ? "" : `?${parameters.join("&")}`
}

/** Slashes are encoded too, and so are the two keys that a path would swallow. */
export const keyPath = (key: string): string =>
  `/kv/${key === "." ? "%2E" : key === ".." ? "%2E%2E" : encodeURIComponent(key)}`

/** The same for a key that a person typed. */
export const checkedKeyPath = (text: string): Effect.Effect<string, CommandFailed> =>
  Schema.is(Key)(text)
    ? Effect.succeed(keyPath(text))
    : Effect.fail(failed("a key must have 1 to 1024 bytes of valid UTF-8"))

const send = (request: Request, timeout: Duration.Duration): Effect.Effect<Answer, CommandFailed, Http> =>
  Effect.flatMap(Http, (http) => http.send(request)).pipe(
    Effect.timeoutOrElse({
      duration: timeout,
      orElse: () =>
        Effect.fail({
          message: `${request.origin} did not answer within ${Duration.format(timeout)}: try again, or another node`
        })
    }),
    Effect.mapError(({ message }) => failed(message))
  )

/**
 * Asks the nodes in turn until one gives an answer that no other node would improve on, and fails unless its status is
 * expected. Puts and deletes may be repeated.
 */
export const ask = (
  urls: ReadonlyArray<string>,
  expected: ReadonlyArray<number>,
  request: Omit<Request, "origin">
): Effect.Effect<Answer, CommandFailed, Http> =>
  Effect.firstSuccessOf(
    urls.map((origin) =>
      Effect.flatMap(send({ ...request, origin }, answerTimeout), (answer) =>
        answer.status < 500 && answer.status !== 429
          ? Effect.succeed(answer)
          : Effect.fail(failed(`${origin} answered ${describeProblem(answer)}`)))
    )
  ).pipe(
    Effect.filterOrFail(({ status }) => expected.includes(status), (answer) => failed(describeProblem(answer)))
  )

/** One of a node's pages of JSON, whatever its status: `/healthz` of an unavailable cluster is a 503. */
export const page = <A, I>(origin: string, path: string, schema: Schema.Codec<A, I>) =>
  Effect.flatMap(send({ origin, method: "GET", path }, pageTimeout), (answer) => decode(origin, schema, answer))

/** The node at this address answered 401. */
export const secretRefused = (address: string): CommandFailed =>
  failed(`${address} refused the secret: set CLUSTER_SECRET to that of the cluster`)

/** The body of a node's answer. */
export const decode = <A, I>(origin: string, schema: Schema.Codec<A, I>, { body, status }: Answer) =>
  Effect.mapError(
    Schema.decodeUnknownEffect(Schema.fromJsonString(schema))(body.toString()),
    () => failed(`${origin} is not a Rondo node: it answered ${status} without what was asked for`)
  )

/** A problem document as one line: `503 WriteQuorumFailed: 1 of 2 replicas ... (outcome: unknown)`. */
export const describeProblem = (answer: Answer): string => {
  const problem = parseProblem(answer)
  const name = problem["_tag"] ?? problem["title"] ?? ""
  const detail = problem["detail"] ?? problem["message"] ?? ""
  const outcome = typeof problem["outcome"] === "string" ? ` (outcome: ${problem["outcome"]})` : ""
  return `${answer.status}${name === "" ? "" : ` ${name}`}${detail === "" ? "" : `: ${detail}`}${outcome}`
}

/** The kind of failure, to count by: `503 WriteQuorumFailed`, or the status alone. */
export const problemKind = (answer: Answer): string => {
  const tag = parseProblem(answer)["_tag"]
  return typeof tag === "string" ? `${answer.status} ${tag}` : String(answer.status)
}

const decodeProblem = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)))

const parseProblem = (answer: Answer): Readonly<Record<string, unknown>> =>
  Option.getOrElse(decodeProblem(answer.body.toString()), () => ({}))
