/** Which cluster a command talks to, and how: the flags and requests that the commands of one key share. */
import { Duration, Effect, Option, Schema } from "effect"
import { Flag } from "effect/cli"
import * as environment from "../config/environment.ts"
import { Key } from "../domain/Key.ts"
import { CommandFailed } from "./CommandFailed.ts"
import * as flags from "./flags.ts"
import { type Answer, Http, type Request } from "./Http.ts"

export const defaultUrl = "http://127.0.0.1:8081"

/** Longer than the longest deadline that a node keeps by default. */
const answerTimeout = Duration.seconds(30)

const parseUrl = (text: string): string | undefined => {
  const parsed = URL.parse(/^https?:\/\//.test(text) ? text : `http://${text}`)
  return parsed === null || parsed.hostname === "" || parsed.pathname !== "/" || parsed.search !== ""
    ? undefined
    : parsed.origin
}

/** `host:port` or `http://host:port`, separated by commas. */
export const parseUrls = (text: string): Effect.Effect<ReadonlyArray<string>, CommandFailed> =>
  Effect.gen(function*() {
    const urls: Array<string> = []
    for (const part of text.split(",").map((part) => part.trim()).filter((part) => part !== "")) {
      const url = parseUrl(part)
      if (url === undefined) {
        return yield* new CommandFailed({
          message: `--url: "${part}" is not the address of a node, such as ${defaultUrl}`
        })
      }
      urls.push(url)
    }
    if (urls.length === 0) return yield* new CommandFailed({ message: "--url names no node" })
    return urls
  })

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

export const checkedKey = (text: string): Effect.Effect<string, CommandFailed> =>
  Schema.is(Key)(text)
    ? Effect.succeed(text)
    : Effect.fail(new CommandFailed({ message: "a key must have 1 to 1024 bytes of valid UTF-8" }))

/** The whole answer of one node, whatever its status. */
export const send = (request: Request, timeout = answerTimeout): Effect.Effect<Answer, CommandFailed, Http> =>
  Effect.flatMap(Http, (http) => http.send(request)).pipe(
    Effect.timeoutOrElse({
      duration: timeout,
      orElse: () => Effect.fail({ message: `${request.origin} did not answer within ${Duration.format(timeout)}` })
    }),
    Effect.mapError(({ message }) => new CommandFailed({ message }))
  )

/** Asks the nodes in turn until one gives an answer that no other node would improve on. Puts and deletes may be repeated. */
export const ask = (urls: ReadonlyArray<string>, request: Omit<Request, "origin">) =>
  Effect.firstSuccessOf(
    urls.map((origin) =>
      Effect.flatMap(send({ ...request, origin }), (answer) =>
        answer.status < 500 && answer.status !== 429
          ? Effect.succeed(answer)
          : Effect.fail(new CommandFailed({ message: `${origin} answered ${describeProblem(answer)}` })))
    )
  )

/** A problem document as one line: `503 WriteQuorumFailed: 1 of 2 replicas ... (outcome: unknown)`. */
export const describeProblem = (answer: Answer): string => {
  const problem = parseProblem(answer)
  const name = problem["_tag"] ?? problem["title"] ?? ""
  const detail = problem["detail"] ?? problem["message"] ?? ""
  const outcome = typeof problem["outcome"] === "string" ? ` (outcome: ${problem["outcome"]})` : ""
  return `${answer.status}${name === "" ? "" : ` ${name}`}${detail === "" ? "" : `: ${detail}`}${outcome}`
}

/** The failure in a word, to count by: `503 WriteQuorumFailed`, or the status alone. */
export const problemKind = (answer: Answer): string => {
  const tag = parseProblem(answer)["_tag"]
  return typeof tag === "string" ? `${answer.status} ${tag}` : String(answer.status)
}

const parseProblem = (answer: Answer): Record<string, unknown> => {
  try {
    const parsed: unknown = JSON.parse(answer.body.toString("utf8"))
    return typeof parsed === "object" && parsed !== null ? parsed as Record<string, unknown> : {}
  } catch {
    return {}
  }
}
