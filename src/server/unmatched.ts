/** Answers when no handler did: the router found nothing, a declared schema refused, or the code broke. */
import { Cause, Effect } from "effect"
import { HttpServerError, ProblemDetails } from "effect/http"
import type { HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiError } from "effect/http-api"
import { Api } from "../api/Api.ts"
import * as Problem from "../api/Problem.ts"
import * as KvRequest from "./KvRequest.ts"
import { problemResponse } from "./problemResponse.ts"
import { pathOf } from "./target.ts"

type Request = HttpServerRequest.HttpServerRequest
type Response = HttpServerResponse.HttpServerResponse

/** Declared methods by path, and the pages outside the API. */
const methodsByPath: ReadonlyMap<string, ReadonlyArray<string>> = (() => {
  const table = new Map<string, Array<string>>([["/", ["GET"]], ["/docs", ["GET"]], ["/openapi.json", ["GET"]]])
  HttpApi.reflect(Api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint }) => {
      table.set(endpoint.path, [...table.get(endpoint.path) ?? [], endpoint.method])
    }
  })
  // The router answers HEAD wherever it answers GET.
  for (const methods of table.values()) if (methods.includes("GET") && !methods.includes("HEAD")) methods.push("HEAD")
  return table
})()

/** The problem for a request that no route took. */
export const refusalOf = (method: string, url: string): Response => {
  const path = pathOf(url).replace(/\?.*$/s, "")
  const declared = path.startsWith("/kv/") ? "/kv/*" : path.replace(/^\/snapshots\/[^/]+$/, "/snapshots/:name")
  const methods = methodsByPath.get(declared)
  if (methods === undefined || methods.includes(method)) {
    // The router finds no route for a key whose escapes are broken.
    const key = declared === "/kv/*" ? KvRequest.keyOf(url) : ""
    if (typeof key !== "string") return problemResponse(key)
    return problemResponse(new Problem.NotFound({ detail: "keys are at /kv/{key}; /docs describes everything else" }))
  }
  const allowed = methods.toSorted()
  const allow = allowed.join(", ")
  return problemResponse(new Problem.MethodNotAllowed({ detail: `allowed here: ${allow}`, allowed }), { allow })
}

/** The platform refuses an undeclared content type with a line of text. */
export const asProblem = (response: Response): Response =>
  response.status === 415 && response.headers["content-type"] !== ProblemDetails.contentType
    ? problemResponse(new Problem.UnsupportedMediaType({ detail: "/docs names the content types of this endpoint" }))
    : response

const internalError = () =>
  problemResponse(new Problem.InternalError({ detail: "the node's log has the reason; a write may have been applied" }))

/** Answers a failed request. An interrupted one stays a failure: the client has gone, or the node is stopping. */
export const recover = (request: Request, cause: Cause.Cause<unknown>): Effect.Effect<Response> => {
  for (const reason of cause.reasons) {
    if (Cause.isInterruptReason(reason)) continue
    const response = answerTo(request, Cause.isFailReason(reason) ? reason.error : reason.defect)
    if (response !== undefined) return Effect.succeed(response)
  }
  if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause as Cause.Cause<never>)
  const path = request.url.replace(/\?.*$/s, "")
  return Effect.as(Effect.logError(`${request.method} ${path} failed`, cause), internalError())
}

const answerTo = (request: Request, error: unknown): Response | undefined => {
  if (HttpApiError.HttpApiSchemaError.is(error)) {
    if (error.kind === "Body" || error.kind === "ResponseHeaders") return undefined
    return problemResponse(new Problem.BadRequest({ detail: `${error.kind.toLowerCase()}: ${error.cause.message}` }))
  }
  if (!HttpServerError.isHttpServerError(error)) return undefined
  if (error.reason._tag === "RouteNotFound") return refusalOf(request.method, request.url)
  if (error.reason._tag !== "RequestParseError") return undefined
  return problemResponse(
    error.reason.reason === "BodyTooLarge"
      ? new Problem.BodyTooLarge({ detail: "the body is larger than this endpoint takes" })
      : new Problem.BadRequest({ detail: "the body could not be read" })
  )
}
