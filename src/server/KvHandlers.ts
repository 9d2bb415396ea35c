/**
 * `PUT GET HEAD DELETE /kv/*` over the Coordinator, for the lane and for the declared group. Every request passes here,
 * so these are plain functions with two bookkeeping frames, without decoding by schema and without a span.
 */
import { Clock, Context, Effect, Exit, Layer } from "effect"
import type { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { isUtf8 } from "node:buffer"
import type { IncomingMessage, ServerResponse } from "node:http"
import { Api } from "../api/Api.ts"
import { type Envelope, KvApi } from "../api/KvApi.ts"
import * as Problem from "../api/Problem.ts"
import { ClusterConfig } from "../config/ClusterConfig.ts"
import { NodeConfig } from "../config/NodeConfig.ts"
import { Coordinator } from "../coordinator/Coordinator.ts"
import type * as CoordinatorError from "../coordinator/CoordinatorError.ts"
import type { ReadReceipt, WriteReceipt } from "../coordinator/receipts.ts"
import type { Value } from "../domain/cell/Cell.ts"
import type { Key } from "../domain/Key.ts"
import * as Version from "../domain/Version.ts"
import { Metrics, type Operation, type RequestOutcome } from "../observability/Metrics.ts"
import * as KvRequest from "./KvRequest.ts"
import * as Lane from "./lane/Lane.ts"
import { problemResponse } from "./problemResponse.ts"

type Response = HttpServerResponse.HttpServerResponse

const make = Effect.gen(function*() {
  const admission = yield* Lane.Admission
  const bodies = yield* Lane.Bodies
  const busy = overloaded(`${admission.limit} requests are under way on this node`, admission.limit)
  const tooManyBodies = overloaded(
    `${admission.limit} bodies, or ${Lane.bodiesBytesMax} bytes of them, are arriving at this node`,
    admission.limit
  )
  const clock = yield* Clock.Clock
  const coordinator = yield* Coordinator
  const metrics = yield* Metrics
  const { valueBytesMax } = yield* NodeConfig
  const { replicationFactor } = yield* ClusterConfig

  /** Measures the request, and refuses it when too many are under way. Must run uninterruptible. */
  const measured = (operation: Operation, handle: Lane.Handler): Lane.Handler => (request, response) => {
    if (admission.isFull()) {
      metrics.requestEnded(operation, "overloaded", 0n)
      return Effect.succeed(busy)
    }
    const began = clock.monotonicTimeNanosUnsafe()
    return Effect.onExitPrimitive(
      Effect.suspend(() => handle(request, response)),
      (exit) => {
        const outcome = Exit.isSuccess(exit) && (exit.value === busy || exit.value === tooManyBodies)
          ? "overloaded"
          : outcomeOf(exit)
        metrics.requestEnded(operation, outcome, clock.monotonicTimeNanosUnsafe() - began)
        return undefined
      }
    )
  }

  /**
   * Runs the operation in a place of its own, held until the answer is gone, since an unread answer stays in memory.
   * Must run uninterruptible, so that a client that leaves does not keep the place; the operation itself can be
   * interrupted.
   */
  const placed = (response: ServerResponse, operation: () => Effect.Effect<Response>): Effect.Effect<Response> => {
    if (!admission.enter()) return Effect.succeed(busy)
    return Effect.onExitPrimitive(Effect.interruptible(Effect.suspend(operation)), () => {
      Lane.whenGone(response, admission.leave)
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
    return Effect.match(coordinator.get(key, { r: options.replicas, timeout: options.timeout }), {
      onFailure: readFailed,
      onSuccess: (receipt) => found(request, response, key, receipt)
    })
  }

  const store = (request: IncomingMessage, response: ServerResponse) =>
    write(request, (key, { replicas, timeout }) => {
      const contentType = KvRequest.contentTypeOf(request.headers)
      if (typeof contentType !== "string") return refuse(contentType)
      return Effect.flatMap(
        Effect.interruptible(Lane.receiveBody(request, response, valueBytesMax, bodies)),
        (bytes) => {
          if (bytes === "too-large") return Effect.succeed(tooLarge(request, valueBytesMax))
          if (bytes === "too-slow") return Effect.succeed(tooSlow)
          if (bytes === "too-many") return Effect.succeed(tooManyBodies)
          return placed(response, () =>
            Effect.match(coordinator.put(key, { bytes, contentType }, { w: replicas, timeout }), {
              onFailure: writeFailed,
              onSuccess: (receipt) =>
                written(request, response, receipt, receipt.replaced ? 204 : 201)
            }))
        }
      )
    })

  const remove = (request: IncomingMessage, response: ServerResponse) =>
    write(
      request,
      (key, { replicas, timeout }) =>
        Effect.match(coordinator.delete(key, { w: replicas, timeout }), {
          onFailure: writeFailed,
          onSuccess: (receipt) => written(request, response, receipt, 204)
        })
    )

  const get = measured("get", (request, response) => placed(response, () => read(request, response)))
  return {
    put: measured("put", store),
    delete: measured("delete", (request, response) => placed(response, () => remove(request, response))),
    get,
    head: get
  }
})

/** The handlers of the group, by the names of its endpoints. */
export class KvHandlers extends Context.Service<KvHandlers, Lane.Handlers<keyof typeof KvApi.endpoints>>()(
  "rondo/server/KvHandlers"
) {
  static readonly layer = Layer.effect(KvHandlers, make)

  static readonly layerGroup = HttpApiBuilder.group(
    Api,
    "kv",
    (declared) => Effect.map(KvHandlers, (handlers) => Lane.declare(declared, handlers))
  )

  static readonly routes = Effect.map(KvHandlers, (handlers) => Lane.routesOf(KvApi, handlers))
}

const refuse = (problem: Problem.Problem) => Effect.succeed(problemResponse(problem))

const outcomeOf = (exit: Exit.Exit<Response>): RequestOutcome => {
  if (Exit.isFailure(exit)) return Exit.hasInterrupts(exit) ? "client-gone" : "failed"
  const { status } = exit.value
  if (status < 400) return "ok"
  return status === 404 ? "not-found" : status === 503 ? "quorum-failed" : "refused"
}

const overloaded = (reason: string, limit: number) =>
  problemResponse(new Problem.Overloaded({ detail: `${reason}: try again, or another node; nothing was sent`, limit }))

const tooLarge = (request: IncomingMessage, limitBytes: number) =>
  problemResponse(
    new Problem.ValueTooLarge({ detail: `a value has at most ${limitBytes} bytes: nothing was written`, limitBytes }),
    request.complete ? {} : { connection: "close" }
  )

const tooSlow = problemResponse(
  new Problem.RequestTimeout({ detail: "the body came too slowly: nothing was written" }),
  { connection: "close" }
)

const writeFailed = (failure: CoordinatorError.WriteQuorumNotReached) => {
  const { failures, got, message, outcome, replicas, wanted } = failure
  const advice = outcome === "not-applied"
    ? "nothing was sent: try again"
    : "it may still become visible: writing again is safe"
  const detail = `${message}; ${advice}`
  return problemResponse(new Problem.WriteQuorumFailed({ detail, outcome, wanted, got, replicas, failures }))
}

const readFailed = (failure: CoordinatorError.ReadQuorumNotReached) => {
  const { failures, got, message, replicas, wanted } = failure
  return problemResponse(new Problem.ReadQuorumFailed({ detail: message, wanted, got, replicas, failures }))
}

const written = (
  request: IncomingMessage,
  response: ServerResponse,
  { acks, replicas, version }: WriteReceipt,
  status: 201 | 204
): Response => {
  const text = Version.format(version)
  const headers = ["etag", `"${text}"`, "rondo-version", text, "rondo-acks", `${acks}/${replicas}`]
  if (status === 201) headers.push("content-length", "0")
  return Lane.answerEmpty(request, response, status, headers)
}

/** A value may be a script, and comes from our origin, so browsers must not guess its type. */
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
    return Lane.answerEmpty(request, response, 304, headers)
  }
  if (KvRequest.wantsEnvelope(request.headers.accept)) {
    const text = JSON.stringify(envelope(key, version, cell.value))
    return Lane.answerBytes(request, response, headers, "application/json", Buffer.from(text))
  }
  const contentType = KvRequest.contentTypeToSend(cell.value.contentType)
  return Lane.answerBytes(request, response, headers, contentType, cell.value.bytes)
}

const envelope = (key: Key, version: string, { bytes, contentType }: Value): typeof Envelope.Type => {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return isUtf8(buffer)
    ? { key, value: buffer.toString("utf8"), version, contentType }
    : { key, value: buffer.toString("base64"), version, contentType, encoding: "base64" }
}
