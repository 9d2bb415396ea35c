/** HTTP from outside: requests with their path as it is, raw bytes on a socket, and a server over fakes for both. */
import { assert } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Layer, Redacted, Scope } from "effect"
import * as Http from "node:http"
import * as Net from "node:net"
import type { NodeSettings } from "../../src/config/NodeConfig.ts"
import * as PeerAuth from "../../src/peer/PeerAuth.ts"
import * as HttpServer from "../../src/server/HttpServer.ts"
import * as Lane from "../../src/server/lane/Lane.ts"
import { Cluster, configLayer } from "./fakes.ts"

export interface Answer {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly body: Buffer
  /** The body as JSON. */
  readonly json: () => Record<string, unknown>
}

export interface Request {
  readonly method?: string
  readonly headers?: Http.OutgoingHttpHeaders
  readonly body?: string | Uint8Array | ReadonlyArray<string | Uint8Array>
  readonly agent?: Http.Agent
}

/** The proof of the secret that `configLayer` sets. */
export const authorization = PeerAuth.header(Redacted.make("secret"))

/** The problem in an answer of this status and kind. */
export const isProblem = (answer: Answer, status: number, kind: string) => {
  assert.strictEqual(answer.status, status)
  assert.strictEqual(answer.headers["content-type"], "application/problem+json")
  const problem = answer.json()
  assert.deepInclude(problem, { status, _tag: kind })
  for (const member of ["type", "title", "detail"]) assert.isString(problem[member])
  assert.isBoolean(problem["retryable"])
  return problem
}

/** Operations wait until `release`, and `entered` tells when the first is inside. */
export const gate = Effect.fnUntraced(function*({ cluster }: Server) {
  const entered = yield* Deferred.make<void>()
  const release = yield* Deferred.make<void>()
  cluster.before = Deferred.succeed(entered, undefined).pipe(Effect.andThen(Deferred.await(release)))
  return { entered: Deferred.await(entered), release: Deferred.succeed(release, undefined) }
})

/** A body given as an array goes out in chunks, without a length. */
export const send = (
  port: number,
  path: string,
  { agent, body, headers, method }: Request = {}
): Effect.Effect<Answer, Error> =>
  Effect.callback((resume) => {
    const request = Http.request({
      host: "127.0.0.1",
      port,
      path,
      method: method ?? "GET",
      headers: typeof body === "string" || body instanceof Uint8Array
        ? { "content-length": Buffer.byteLength(body), ...headers }
        : headers,
      agent: agent ?? false
    })
    request.on("error", (error) => resume(Effect.fail(error)))
    request.on("response", (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.on("end", () => {
        const bytes = Buffer.concat(chunks)
        const answer: Answer = {
          status: response.statusCode!,
          headers: response.headers,
          body: bytes,
          json: () => JSON.parse(bytes.toString())
        }
        resume(Effect.succeed(answer))
      })
      response.on("error", (error) => resume(Effect.fail(error)))
    })
    if (Array.isArray(body)) {
      for (const chunk of body) request.write(chunk)
      request.end()
    } else {
      request.end(body as string | Uint8Array | undefined)
    }
    return Effect.sync(() => request.destroy())
  })

/** Everything the server sends on one connection until it closes it. */
export const raw = (port: number, bytes: string | Uint8Array): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const socket = Net.connect(port, "127.0.0.1")
    let text = ""
    socket.setEncoding("latin1").on("data", (more: string) => {
      text += more
    })
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(text)))
    socket.write(bytes)
    return Effect.sync(() => socket.destroy())
  })

export interface Server {
  readonly cluster: Cluster
  readonly port: number
  readonly send: (path: string, request?: Request) => Effect.Effect<Answer, Error>
  readonly put: (
    path: string,
    body: Request["body"],
    headers?: Http.OutgoingHttpHeaders
  ) => Effect.Effect<Answer, Error>
  readonly raw: (bytes: string | Uint8Array) => Effect.Effect<string>
  /** Stops the server: completes when it has stopped. */
  readonly stop: Effect.Effect<void>
}

export const portOf = (address: string): number => Number(new URL(address).port)

export const serverLayer = HttpServer.layer(Http.createServer)

/** A server on a port of its own, as long as the scope lives. */
export const serve = Effect.fnUntraced(function*(node: Partial<NodeSettings> = {}, isLaneOpen = true) {
  const cluster = new Cluster()
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  const layer = serverLayer.pipe(
    Layer.provide([cluster.layer, configLayer(node), Layer.succeed(Lane.IsOpen, isLaneOpen)])
  )
  const port = portOf(Context.get(yield* Layer.buildWithScope(layer, scope), HttpServer.BoundAddress))
  const server: Server = {
    cluster,
    port,
    send: (path, request) => send(port, path, request),
    put: (path, body, headers) => send(port, path, { method: "PUT", body: body!, headers: headers ?? {} }),
    raw: (bytes) => raw(port, bytes),
    stop: Scope.close(scope, Exit.void)
  }
  return server
})
