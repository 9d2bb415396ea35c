/**
 * The lane: hand-written HTTP for most of the load, values and peers' batches. Through the declared endpoints, with the
 * platform's router, request object, scope and frames, the same handlers cost 25 to 35 microseconds more for each
 * request, half as much again (`IsOpen`).
 *
 * Leaf: Node's connections. Every request enters through the lane's listener, which counts it and runs the lane's
 * handler for it. Without one, the platform's listener takes the request to the declared endpoints. The platform also
 * writes the answers that a handler returns instead of writing, and turns failures into answers. As in the platform, a
 * handler is interrupted only by a stop or a client that leaves, and only where it allows that.
 */
import { NodeHttpServer, NodeHttpServerRequest } from "@effect/platform-node"
import { Cause, Context, Duration, Effect, Exit, FiberSet } from "effect"
import { HttpEffect, HttpServer, HttpServerError, HttpServerRequest } from "effect/http"
import type { HttpBody, HttpServerResponse } from "effect/http"
import type * as Http from "node:http"
import * as Problem from "../../api/Problem.ts"
import { problemResponse } from "../problemResponse.ts"
import * as bounds from "./bounds.ts"
import * as connections from "./connections.ts"
import * as directAnswer from "./directAnswer.ts"
import * as Routes from "./Routes.ts"

export { Admission } from "./Admission.ts"
export { Bodies, bytesTogetherMax as bodiesBytesMax } from "./Bodies.ts"
export { options } from "./bounds.ts"
export { headerBytesMax } from "./connectionError.ts"
export { giveTime, whenGone } from "./connections.ts"
export { bytes as answerBytes, empty as answerEmpty } from "./directAnswer.ts"
export { collect as collectBody, receive as receiveBody } from "./requestBody.ts"
export { declare, type Handler, type Handlers, of as routesOf } from "./Routes.ts"

type Response = HttpServerResponse.HttpServerResponse

/** While closed, all requests take the declared endpoints, which have the same handlers. */
export const IsOpen = Context.Reference("rondo/server/lane/IsOpen", { defaultValue: () => true })

/** A stop may take this long; then connections are cut. Container runtimes kill after ten seconds. */
const shutdownTimeout = Duration.seconds(3)

export interface Options<E, R> {
  readonly host: string
  readonly port: number
  readonly routes: ReadonlyArray<Routes.Route>
  readonly declared: Effect.Effect<Response, E, R>
  /** Turns a failure of the lane or of the declared endpoints into an answer. */
  readonly recover: (
    request: HttpServerRequest.HttpServerRequest,
    cause: Cause.Cause<E>
  ) => Effect.Effect<Response>
}

/**
 * Listens with this server while the scope lives, and returns the address. A stop accepts nothing more, finishes the
 * requests under way, and ends within seconds.
 */
export const attach = Effect.fnUntraced(function*<E, R>(
  server: Http.Server,
  { declared, host, port, recover, routes }: Options<E, R>
) {
  const closeAfterAnswers = bounds.prepare(server)
  const platform = yield* NodeHttpServer.make(() => server, { host, port, gracefulShutdownTimeout: shutdownTimeout })
  // Runs after the graceful stop below and before the one above, which would wait for ever.
  yield* Effect.addFinalizer(() => Effect.sync(() => server.closeAllConnections()))
  const lane = yield* open(Routes.finder((yield* IsOpen) ? routes : []))
  yield* platform.serve(Effect.withFiber((fiber) => {
    const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
    const incoming = NodeHttpServerRequest.toIncomingMessage(request) as Http.IncomingMessage
    HttpEffect.appendPreResponseHandlerUnsafe(fiber.context, saysThatItStops)
    return Effect.catchCause(lane.answerTo(incoming) ?? declared, (cause) => recover(request, cause))
  }))
  lane.goBefore(server)
  // Runs first on the way down.
  yield* Effect.addFinalizer(() => Effect.sync(closeAfterAnswers))
  return HttpServer.formatAddress(platform.address)
})

const open = Effect.fnUntraced(function*(find: (request: Http.IncomingMessage) => Routes.Handler | undefined) {
  const underWay = yield* FiberSet.make<unknown, unknown>()
  const run = Effect.runForkWith(yield* Effect.context<never>())
  /** Answers for the platform to write. */
  const answers = new WeakMap<Http.IncomingMessage, Exit.Exit<Response>>()

  /** The lane's listener, which replaces the platform's. */
  const before = (platform: Http.RequestListener): Http.RequestListener => {
    const finish = (request: Http.IncomingMessage, response: Http.ServerResponse, exit: Exit.Exit<Response>): void => {
      if (Exit.isSuccess(exit) && exit.value === directAnswer.sent) return
      if (Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)) return cutShort(response)
      answers.set(request, exit)
      platform(request, response)
    }
    return (request, response) => {
      connections.count(request, response)
      const handler = find(request)
      if (handler === undefined || connections.refusalOf(request) !== undefined) return platform(request, response)
      const fiber = run(handler(request, response), { uninterruptible: true })
      const exit = fiber.pollUnsafe()
      if (exit !== undefined) return finish(request, response, exit)
      FiberSet.addUnsafe(underWay, fiber)
      fiber.addObserver((exit) => finish(request, response, exit))
      response.on("close", () => {
        if (!response.writableEnded) fiber.interruptUnsafe(undefined, HttpServerError.ClientAbort.annotation)
      })
    }
  }

  return {
    /** Puts the lane before the server's present listeners, which get only what the lane leaves to them. */
    goBefore: (server: Http.Server): void => {
      const request = takeListeners(server, "request")
      server.on("request", before(request))
      server.on("checkContinue", before(takeListeners(server, "checkContinue")))
      server.on("checkExpectation", (incoming, response) => {
        answers.set(incoming, Exit.succeed(expectationFailed))
        request(incoming, response)
      })
    },
    /** The lane's answer, or the refusal of a connection. Upgrades reach only the platform. */
    answerTo: (request: Http.IncomingMessage): Effect.Effect<Response> | undefined => {
      const refusal = connections.refusalOf(request)
      return answers.get(request) ?? (refusal && Effect.succeed(refusal))
    }
  }
})

const takeListeners = (server: Http.Server, event: "request" | "checkContinue"): Http.RequestListener => {
  const listeners = server.listeners(event) as ReadonlyArray<Http.RequestListener>
  server.removeAllListeners(event)
  return (request, response) => {
    for (const listener of listeners) listener.call(server, request, response)
  }
}

const expectationFailed = problemResponse(
  new Problem.ExpectationFailed({ detail: "Expect knows only 100-continue: nothing was done" }),
  { connection: "close" }
)

const stopping = problemResponse(
  new Problem.Stopping({ detail: "this node is stopping: try another; a write may have been applied" }),
  { connection: "close" }
)

/** The platform's own answer to a request that a stop interrupts has no body. */
const saysThatItStops: HttpEffect.PreResponseHandler = (_, response) =>
  Effect.succeed(response.status === 503 && response.body._tag === "Empty" ? stopping : response)

/** The client left, or the node is stopping and the platform takes no more requests. */
const cutShort = (response: Http.ServerResponse): void => {
  if (response.destroyed || response.headersSent) return
  const body = stopping.body as HttpBody.Uint8Array
  response.writeHead(503, {
    ...stopping.headers,
    "content-type": body.contentType,
    "content-length": body.contentLength
  })
  response.end(response.req.method === "HEAD" ? undefined : body.body)
}
