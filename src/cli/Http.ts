/**
 * Leaf: how the commands reach a cluster over HTTP. Effect's `HttpClient` sends the path of a `URL`, which turns
 * `/kv/%2E%2E`, a key like any other, into `/`.
 */
import { NodeStream } from "@effect/platform-node"
import * as Undici from "@effect/platform-node/Undici"
import { Context, Effect, Layer, Schema, Stream } from "effect"

export interface Request {
  /** Such as `http://127.0.0.1:8081`. */
  readonly origin: string
  readonly method: "GET" | "PUT" | "POST" | "DELETE"
  /** Sent as it stands. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

export interface Answer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly body: Buffer
}

/** No whole answer came. The node may have carried out the request all the same. */
export class HttpFailed extends Schema.TaggedError<HttpFailed>()("HttpFailed", {
  origin: Schema.String,
  /** The system's code, such as `ECONNREFUSED`, or the client's, such as `UND_ERR_SOCKET`. */
  code: Schema.String
}) {
  override get message() {
    return this.code === "ECONNREFUSED"
      ? `cannot connect to ${this.origin}: is a node running there?`
      : `${this.origin}: ${this.code}`
  }
}

export class Http extends Context.Service<Http, {
  readonly send: (request: Request) => Effect.Effect<Answer, HttpFailed>
  /** The body as it arrives; an answer other than 200 fails with the status as its code. */
  readonly stream: (request: Request) => Stream.Stream<Uint8Array, HttpFailed>
}>()("rondo/cli/Http") {
  static readonly layer = Layer.effect(
    Http,
    Effect.gen(function*() {
      const agent = yield* Effect.acquireRelease(
        // A node may take long to its first byte; callers set their own deadlines.
        Effect.sync(() => new Undici.Agent({ headersTimeout: 0, bodyTimeout: 0 })),
        (agent) => Effect.promise(() => agent.destroy())
      )
      const failed = (origin: string) => (cause: unknown) => new HttpFailed({ origin, code: codeOf(cause) })
      const dispatch = (request: Request) =>
        Effect.tryPromise({
          try: (signal) =>
            agent.request({
              origin: request.origin,
              method: request.method,
              path: request.path,
              headers: request.headers ?? {},
              body: request.body ?? null,
              signal
            }),
          catch: failed(request.origin)
        })
      return Http.of({
        send: (request) =>
          Effect.flatMap(dispatch(request), ({ body, headers, statusCode }) =>
            Effect.map(
              Effect.tryPromise({ try: () => body.bytes(), catch: failed(request.origin) }),
              (bytes) => ({
                status: statusCode,
                headers,
                body: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
              })
            )),
        stream: (request) =>
          Stream.unwrap(Effect.flatMap(dispatch(request), ({ body, statusCode }) =>
            statusCode === 200
              ? Effect.succeed(NodeStream.fromReadable<Uint8Array, HttpFailed>({
                evaluate: () => body,
                onError: failed(request.origin)
              }))
              : Effect.andThen(
                Effect.promise(() => body.dump()),
                Effect.fail(new HttpFailed({ origin: request.origin, code: String(statusCode) }))
              )))
      })
    })
  )
}

const codeOf = (cause: unknown): string => {
  if (cause instanceof AggregateError && cause.errors.length > 0) return codeOf(cause.errors[0])
  if (!(cause instanceof Error)) return String(cause)
  return "code" in cause && typeof cause.code === "string" ? cause.code : cause.message
}
