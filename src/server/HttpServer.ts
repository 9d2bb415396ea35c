/**
 * The node's one HTTP server: clients, operators and peers on one port, bounded in every direction.
 *
 * Leaf: the inbound network. The router is strict (case, slashes), there is no access log, and what no handler answered
 * becomes a problem in `unmatched`. On shutdown it stops accepting, finishes what is under way, and is gone within seconds.
 */
import { NodeHttpServer, NodeHttpServerRequest } from "@effect/platform-node"
import { ByteSize, Context, Duration, Effect, Layer, Schema } from "effect"
import {
  HttpIncomingMessage,
  HttpRouter,
  HttpServer as Platform,
  HttpServerRequest,
  HttpServerResponse
} from "effect/http"
import type { HttpServerError } from "effect/http"
import { HttpApiBuilder, HttpApiScalar } from "effect/http-api"
import * as Http from "node:http"
import { Api } from "../api/Api.ts"
import { parseAddress } from "../config/address.ts"
import { NodeConfig } from "../config/NodeConfig.ts"
import { peerBodyBytesMax } from "../peer/PeerApi.ts"
import * as AdminHandlers from "./AdminHandlers.ts"
import { type Handler, KvHandlers } from "./KvHandlers.ts"
import * as KvRequest from "./KvRequest.ts"
import { Admission } from "./lane/Admission.ts"
import { Bodies } from "./lane/Bodies.ts"
import { headerBytesMax } from "./lane/connectionError.ts"
import * as NodeServer from "./lane/nodeServer.ts"
import * as shortWay from "./lane/shortWay.ts"
import * as PeerHandlers from "./PeerHandlers.ts"
import { PeerBatches } from "./PeerHandlers.ts"
import * as unmatched from "./unmatched.ts"

/** Somebody listens there already. */
export class PortInUse extends Schema.TaggedError<PortInUse>()("PortInUse", { address: Schema.String }) {
  override get message() {
    return `${this.address} is taken: stop what listens there, or set LISTEN (or NODE_ADDR) to another host:port`
  }
}

/** The system does not let this process listen there. */
export class ListenFailed extends Schema.TaggedError<ListenFailed>()("ListenFailed", {
  address: Schema.String,
  /** Such as `EACCES` or `EADDRNOTAVAIL`. */
  code: Schema.String
}) {
  override get message() {
    return `cannot listen on ${this.address}: ${this.code}`
  }
}

/** What a stop may take; then connections are cut. Container runtimes kill after ten seconds. */
const shutdownTimeout = Duration.seconds(3)

const routerConfig = {
  caseSensitive: true,
  ignoreDuplicateSlashes: false,
  ignoreTrailingSlash: false,
  /** The head's own limit is the only one. */
  maxParamLength: headerBytesMax
}

const welcome = HttpServerResponse.text(
  "Rondo, a replicated key-value store.\n\nkeys   /kv/{key}\ndocs   /docs\nhealth /healthz\n"
)

/** The page carries three megabytes of script, so it is built when somebody first asks for it. */
const docs = Layer.unwrap(Effect.gen(function*() {
  const page = yield* Effect.cached(Effect.scoped(
    HttpRouter.toHttpEffect(HttpApiScalar.layer(Api, { path: "/docs", scalar: { withDefaultFonts: false } }))
  ))
  return HttpRouter.add("GET", "/docs", Effect.flatten(page))
}))

const routes = Layer.mergeAll(
  HttpApiBuilder.layer(Api, { openapiPath: "/openapi.json" }),
  HttpRouter.add("GET", "/", welcome),
  docs
).pipe(
  Layer.provide([KvHandlers.layerGroup, AdminHandlers.layer, PeerHandlers.layerGroup]),
  Layer.provide(PeerHandlers.layerSecret)
)

/** The address that was bound: the same as asked for, unless that was port 0. */
export class BoundAddress extends Context.Service<BoundAddress, string>()("rondo/server/BoundAddress") {}

const listenFailure = (address: string) => (error: HttpServerError.ServeError) => {
  const code = String((error.cause as NodeJS.ErrnoException | undefined)?.code ?? error.cause)
  return code === "EADDRINUSE" ? new PortInUse({ address }) : new ListenFailed({ address, code })
}

/** Node's server, where the short way takes its requests before the platform's listeners hear of them. */
class Server extends Http.Server {
  takes: shortWay.ShortWay["takes"] = () => false

  override emit(event: string, ...parameters: Array<unknown>): boolean {
    if (event !== "request") return super.emit(event, ...parameters)
    const [request, response] = parameters as [Http.IncomingMessage, Http.ServerResponse]
    return this.takes(request, response) || this.emitRequest(request, response)
  }

  /** Tells the listeners, whether or not the short way took the request. */
  emitRequest(request: Http.IncomingMessage, response: Http.ServerResponse): boolean {
    return super.emit("request", request, response)
  }
}

const serve = Effect.gen(function*() {
  const { listen } = yield* NodeConfig
  const { host, port } = parseAddress(listen)!
  const server = new Server(NodeServer.options)
  const closeAfterAnswers = NodeServer.prepare(server)
  const platform = yield* NodeHttpServer.make(() => server, { host, port, gracefulShutdownTimeout: shutdownTimeout })
    .pipe(
      Effect.mapError(listenFailure(listen))
    )
  // Runs after the graceful stop below, and before the one above that would wait for ever.
  yield* Effect.addFinalizer(() => Effect.sync(() => server.closeAllConnections()))
  const router = yield* HttpRouter.toHttpEffect(routes).pipe(
    Effect.provideService(HttpRouter.RouterConfig, routerConfig)
  )
  const routed = Effect.map(router, unmatched.asProblem)
  const byMethod: Readonly<Record<string, Handler>> = yield* KvHandlers
  const batches = yield* PeerBatches
  const find = (request: Http.IncomingMessage): Handler | undefined =>
    KvRequest.pathOf(request.url!).startsWith("/kv/") ? byMethod[request.method!] : batches.find(request)
  const { answers, takes } = yield* shortWay.open(find, (request, response) => server.emitRequest(request, response))
  server.takes = takes
  const answerTo = (request: Http.IncomingMessage, response: Http.ServerResponse) => {
    const refusal = unmatched.refusalOfConnection(request)
    if (refusal !== undefined) return Effect.succeed(refusal)
    return find(request)?.(request, response) ?? routed
  }
  const app = Effect.withFiber((fiber) => {
    const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
    const incoming = NodeHttpServerRequest.toIncomingMessage(request) as Http.IncomingMessage
    const answer = answers.get(incoming) ??
      answerTo(incoming, NodeHttpServerRequest.toServerResponse(request) as Http.ServerResponse)
    return Effect.catchCause(answer, (cause) => unmatched.recover(request, cause))
  })
  yield* Platform.serveEffect(app).pipe(
    Effect.provideService(Platform.HttpServer, platform),
    Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(peerBodyBytesMax))
  )
  // Runs first on the way down.
  yield* Effect.addFinalizer(() => Effect.sync(closeAfterAnswers))
  return Platform.formatAddress(platform.address)
})

/** Listens on `NodeConfig.listen` as long as the layer lives. */
export const layer = Layer.effect(BoundAddress, serve).pipe(
  Layer.provide([KvHandlers.layer, PeerBatches.layer]),
  Layer.provide([Admission.layer, Bodies.layer, NodeHttpServer.layerHttpServices])
)
