/** Turns a problem into its answer. Pure. */
import { HttpServerResponse, ProblemDetails } from "effect/http"
import { type Problem, retryAfterSeconds } from "../api/Problem.ts"

const titleOf = (problem: Problem) => ({ type: problem.type, title: problem.title, status: problem.status })

/** The document, which begins with the members of every problem. */
export const documentOf = (problem: Problem): string => JSON.stringify({ ...titleOf(problem), ...problem })

export const problemResponse = (
  problem: Problem,
  headers: Record<string, string> = {}
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(documentOf(problem), {
    status: problem.status,
    contentType: ProblemDetails.contentType,
    headers: {
      "cache-control": "no-cache",
      ...(problem.status === 503 && { "retry-after": String(retryAfterSeconds) }),
      ...headers
    }
  })
