/**
 * `PUT GET HEAD DELETE /kv/*` over the Coordinator. On the path of every request: plain functions, two bookkeeping
 * frames, no decoding by schema, no span.
 *
 * They implement the declared group, and `HttpServer` also calls them ahead of its router, which would cost each request
 * a third of its time to find out that it begins with `/kv/`.
 */
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Clock, Context, Effect, Exit, Layer } from "effect"
import type { HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { isUtf8 } from "node:buffer"
import type { IncomingMessage, ServerResponse } from "node:http"
import { Api } from "../api/Api.ts"
import type { Envelope } from "../api/KvApi.ts"
import * as Problem from "../api/Problem.ts"
import { ClusterConfig } from "../config/ClusterConfig.ts"
import { NodeConfig } from "../config/NodeConfig.ts"
import { Coordinator } from "../coordinator/Coordinator.ts"
import type * as CoordinatorError from "../coordinator/CoordinatorError.ts"
import type { ReadReceipt, WriteReceipt } from "../coordinator/receipts.ts"
import type { Value } from "../domain/cell/Cell.ts"
import type { Key } from "../domain/Key.ts"
import * as Version from "../domain/Version.ts"
import * as Metrics from "../observability/Metrics.ts"
import * as KvRequest from "./KvRequest.ts"
import { Admission } from "./lane/Admission.ts"
import { Bodies } from "./lane/Bodies.ts"
import * as connections from "./lane/connections.ts"
import * as directAnswer from "./lane/directAnswer.ts"
import * as requestBody from "./lane/requestBody.ts"
import { problemResponse } from "./problemResponse.ts"

type Response = HttpServerResponse.HttpServerResponse

/** Called where nothing interrupts. Writes the answer itself and returns `sent`, or returns it. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => Effect.Effect<Response>

/** The handler for a declared endpoint. */
export const declared =
  (handler: Handler) =>
  ({ request }: { readonly request: HttpServerRequest.HttpServerRequest }): Effect.Effect<Response> =>
    handler(
      NodeHttpServerRequest.toIncomingMessage(request) as IncomingMessage,
      NodeHttpServerRequest.toServerResponse(request) as ServerResponse
    )

const make = Effect.gen(function*() {
  const admission = yield* Admission
  const bodies = yield* Bodies
  const busy = overloaded(admission.limit)
  const clock = yield* Clock.Clock
  const { delete: deleteKey, get, put } = yield* Coordinator
  const { valueBytesMax } = yield* NodeConfig
  const { replicationFactor } = yield* ClusterConfig

  /** Measures the request, and refuses it at once when too many are under way. Called where nothing interrupts. */
  const measured = (
    operation: Metrics.Operation,
    handle: Handler
  ): Handler =>
  (request, response) => {
    if (admission.isFull()) {
      Metrics.requestEnded(operation, "overloaded", 0n)
      return Effect.succeed(busy)
    }
    const began = clock.currentTimeNanosUnsafe()
    return Effect.onExitPrimitive(
      Effect.suspend(() => handle(request, response)),
      (exit) => {
        const outcome = Exit.isSuccess(exit) && exit.value === busy ? "overloaded" : outcomeOf(exit)
        Metrics.requestEnded(operation, outcome, clock.currentTimeNanosUnsafe() - began)
        return undefined
      }
    )
  }

  /**
   * Runs the operation in a place of its own, kept until the answer is gone: one that nobody reads stays in memory.
   * Called where nothing interrupts, so that a client that leaves cannot take the place with it; the operation itself
   * can be interrupted.
   */
  const placed = (response: ServerResponse, operation: () => Effect.Effect<Response>): Effect.Effect<Response> => {
    if (!admission.enter()) return Effect.succeed(busy)
    return Effect.onExitPrimitive(Effect.interruptible(Effect.suspend(operation)), () => {
      connections.whenGone(response, admission.leave)
      return undefined
    })
  }

  const write = (
    request: IncomingMessage,
    run: (key: Key, options: KvRequest.Options) => Effect.Effect<Response>
  ): Effect.Effect<Response> => {
    const key = KvRequest.keyOf(request.url!)
    if (typeof key !== "string") return refuse(key)
    const options = KvRequest.optionsOf(request.url!, "w", replicationFactor)
    if (options instanceof Problem.InvalidParameter) return refuse(options)
    const unsupported = KvRequest.unsupported(request.headers)
    if (unsupported !== undefined) return refuse(unsupported)
    return run(key, options)
  }

  const read = (request: IncomingMessage, response: ServerResponse): Effect.Effect<Response> => {
    const key = KvRequest.keyOf(request.url!)
    if (typeof key !== "string") return refuse(key)
    const options = KvRequest.optionsOf(request.url!, "r", replicationFactor)
    if (options instanceof Problem.InvalidParameter) return refuse(options)
    return Effect.match(get(key, { r: options.replicas, timeout: options.timeout }), {
      onFailure: readFailed,
      onSuccess: (receipt) => found(request, response, key, receipt)
    })
  }

  const store = (request: IncomingMessage, response: ServerResponse) =>
    write(request, (key, { replicas, timeout }) => {
      const contentType = KvRequest.contentTypeOf(request.headers)
      if (typeof contentType !== "string") return refuse(contentType)
      return Effect.flatMap(
        Effect.interruptible(requestBody.receive(request, response, valueBytesMax, bodies)),
        (bytes) => {
          if (bytes === "too-large") return Effect.succeed(tooLarge(request, valueBytesMax))
          if (bytes === "too-slow") return Effect.succeed(tooSlow)
          if (bytes === "too-many") return Effect.succeed(busy)
          return placed(response, () =>
            Effect.match(put(key, { bytes, contentType }, { w: replicas, timeout }), {
              onFailure: writeFailed,
              onSuccess: stored(request, response)
            }))
        }
      )
    })

  const remove = (request: IncomingMessage, response: ServerResponse) =>
    write(
      request,
      (key, { replicas, timeout }) =>
        Effect.match(deleteKey(key, { w: replicas, timeout }), {
          onFailure: writeFailed,
          onSuccess: replaced(request, response)
        })
    )

  return {
    PUT: measured("put", store),
    DELETE: measured("delete", (request, response) => placed(response, () => remove(request, response))),
    GET: measured("get", (request, response) => placed(response, () => read(request, response))),
    HEAD: measured("get", (request, response) => placed(response, () => read(request, response)))
  }
})

/** The handlers by method. */
export class KvHandlers
  extends Context.Service<KvHandlers, Readonly<Record<"PUT" | "GET" | "HEAD" | "DELETE", Handler>>>()(
    "rondo/server/KvHandlers"
  )
{
  static readonly layer = Layer.effect(KvHandlers, make)

  /** The same as the declared group. */
  static readonly layerGroup = HttpApiBuilder.group(
    Api,
    "kv",
    (handlers) =>
      Effect.map(KvHandlers, ({ DELETE, GET, HEAD, PUT }) =>
        handlers
          .handleRaw("put", declared(PUT), { uninterruptible: true })
          .handleRaw("get", declared(GET), { uninterruptible: true })
          .handleRaw("head", declared(HEAD), { uninterruptible: true })
          .handleRaw("delete", declared(DELETE), { uninterruptible: true }))
  )
}

const refuse = (problem: Problem.Problem) => Effect.succeed(problemResponse(problem))

const outcomeOf = (exit: Exit.Exit<Response>): Metrics.RequestOutcome => {
  if (Exit.isFailure(exit)) return Exit.hasInterrupts(exit) ? "client-gone" : "failed"
  const { status } = exit.value
  if (status < 400) return "ok"
  return status === 404 ? "not-found" : status === 503 ? "quorum-failed" : "refused"
}

const overloaded = (limit: number) =>
  problemResponse(
    new Problem.Overloaded({
      detail: `${limit} requests are under way on this node: try again, or another node; nothing was sent`,
      limit
    })
  )

const tooLarge = (request: IncomingMessage, limitBytes: number) =>
  problemResponse(
    new Problem.ValueTooLarge({ detail: `a value has at most ${limitBytes} bytes: nothing was written`, limitBytes }),
    request.complete ? {} : { connection: "close" }
  )

const tooSlow = problemResponse(
  new Problem.RequestTimeout({ detail: "the body came too slowly: nothing was written" }),
  { connection: "close" }
)

const writeFailed = (failure: CoordinatorError.WriteQuorumFailed) => {
  const { failures, got, message, outcome, replicas, wanted } = failure
  const advice = outcome === "not-applied"
    ? "nothing was sent: try again"
    : "it may still become visible: writing again is safe"
  const detail = `${message}; ${advice}`
  return problemResponse(new Problem.WriteQuorumFailed({ detail, outcome, wanted, got, replicas, failures }))
}

const readFailed = (failure: CoordinatorError.ReadQuorumFailed) => {
  const { failures, got, message, replicas, wanted } = failure
  return problemResponse(new Problem.ReadQuorumFailed({ detail: message, wanted, got, replicas, failures }))
}

const stored = (request: IncomingMessage, response: ServerResponse) => (receipt: WriteReceipt): Response =>
  receipt.replaced ? replaced(request, response)(receipt) : written(request, response, receipt, 201)

const replaced = (request: IncomingMessage, response: ServerResponse) => (receipt: WriteReceipt): Response =>
  written(request, response, receipt, 204)

const written = (
  request: IncomingMessage,
  response: ServerResponse,
  { acks, replicas, version }: WriteReceipt,
  status: 201 | 204
): Response => {
  const text = Version.format(version)
  const headers = ["etag", `"${text}"`, "rondo-version", text, "rondo-acks", `${acks}/${replicas}`]
  if (status === 201) headers.push("content-length", "0")
  return directAnswer.empty(request, response, status, headers)
}

/** A value may be a page or a script, and it is served from our origin: no browser may guess its type. */
const headersOf = (version: string): ReadonlyArray<string> => [
  "etag",
  `"${version}"`,
  "rondo-version",
  version,
  "cache-control",
  "no-cache",
  "vary",
  "accept",
  "x-content-type-options",
  "nosniff"
]

const found = (request: IncomingMessage, response: ServerResponse, key: Key, { cell }: ReadReceipt): Response => {
  if (cell?.value === undefined) {
    const problem = new Problem.KeyNotFound({ detail: `"${key}" has no value`, key })
    return problemResponse(problem, cell === undefined ? {} : { "rondo-deleted": Version.format(cell.version) })
  }
  const version = Version.format(cell.version)
  const headers = headersOf(version)
  const ifNoneMatch = request.headers["if-none-match"]
  if (ifNoneMatch !== undefined && KvRequest.matches(ifNoneMatch, `"${version}"`)) {
    return directAnswer.empty(request, response, 304, headers)
  }
  if (KvRequest.wantsEnvelope(request.headers.accept)) {
    const text = JSON.stringify(envelope(key, version, cell.value))
    return directAnswer.bytes(request, response, headers, "application/json", Buffer.from(text))
  }
  const contentType = KvRequest.contentTypeToSend(cell.value.contentType)
  return directAnswer.bytes(request, response, headers, contentType, cell.value.bytes)
}

const envelope = (key: Key, version: string, { bytes, contentType }: Value): typeof Envelope.Type => {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return isUtf8(buffer)
    ? { key, value: buffer.toString("utf8"), version, contentType }
    : { key, value: buffer.toString("base64"), version, contentType, encoding: "base64" }
}
