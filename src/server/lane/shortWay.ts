/**
 * The short way from Node's request to a handler, for the requests that are the load: values, and batches of peers. The
 * platform's request object, scope and frames cost a fifth of what such a request costs in all.
 *
 * Leaf: Node's connections. A handler runs as it does in the platform: nothing interrupts it but the client that leaves
 * or a stop, and only where it says so. An answer that it did not write itself goes on to the platform with the
 * request, which writes it, and there alone failures become answers.
 */
import { Cause, Effect, Exit, Fiber, Scope } from "effect"
import { HttpServerError } from "effect/http"
import type { HttpServerResponse } from "effect/http"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Handler } from "../KvHandlers.ts"
import * as unmatched from "../unmatched.ts"
import * as connections from "./connections.ts"
import * as directAnswer from "./directAnswer.ts"

type Answer = Exit.Exit<HttpServerResponse.HttpServerResponse>

export interface ShortWay {
  /** Whether the request takes this way; `false` leaves it to the platform, untouched. */
  readonly takes: (request: IncomingMessage, response: ServerResponse) => boolean
  /** What requests came to that are with the platform now. */
  readonly answers: { readonly get: (request: IncomingMessage) => Answer | undefined }
}

/** Takes the requests for which `find` has a handler; those that it cannot answer go to `platform`. */
export const open = Effect.fnUntraced(function*(
  find: (request: IncomingMessage) => Handler | undefined,
  platform: (request: IncomingMessage, response: ServerResponse) => void
): Effect.fn.Return<ShortWay, never, Scope.Scope> {
  const scope = yield* Scope.fork(yield* Effect.scope, "parallel")
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const answers = new WeakMap<IncomingMessage, Answer>()

  const finish = (request: IncomingMessage, response: ServerResponse, exit: Answer): void => {
    if (Exit.isSuccess(exit) && exit.value === directAnswer.sent) return
    if (Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)) return cutShort(response)
    answers.set(request, exit)
    platform(request, response)
  }

  const takes = (request: IncomingMessage, response: ServerResponse): boolean => {
    const handler = find(request)
    if (handler === undefined || request.method === "HEAD") return false
    connections.count(request, response)
    if (unmatched.refusalOfConnection(request) !== undefined) return false
    const fiber = run(handler(request, response), { uninterruptible: true })
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) {
      finish(request, response, exit)
      return true
    }
    Fiber.runIn(fiber, scope)
    fiber.addObserver((exit) => finish(request, response, exit))
    response.on("close", () => {
      if (!response.writableEnded) fiber.interruptUnsafe(undefined, HttpServerError.ClientAbort.annotation)
    })
    return true
  }
  return { takes, answers }
})

/** The client left, or this node stops before the answer: the platform takes nothing any more by then. */
const cutShort = (response: ServerResponse): void => {
  if (response.destroyed || response.headersSent) return
  response.writeHead(503, ["connection", "close", "content-length", "0"])
  response.end()
}
