/**
 * The node's one HTTP server: clients, operators and peers on one port.
 *
 * Requests for values and peers' batches take the `lane`, all others the declared endpoints. The router is strict
 * (case, slashes), there is no access log, and `unmatched` answers requests that no handler took.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { ByteSize, Context, Effect, Layer, Schema } from "effect"
import { HttpIncomingMessage, HttpRouter, HttpServerResponse } from "effect/http"
import type { HttpServerError } from "effect/http"
import { HttpApiBuilder, HttpApiScalar } from "effect/http-api"
import type * as Http from "node:http"
import { Api } from "../api/Api.ts"
import { parseAddress } from "../config/address.ts"
import { NodeConfig } from "../config/NodeConfig.ts"
import { peerBodyBytesMax } from "../peer/PeerApi.ts"
import * as AdminHandlers from "./AdminHandlers.ts"
import { KvHandlers } from "./KvHandlers.ts"
import * as Lane from "./lane/Lane.ts"
import * as PeerHandlers from "./PeerHandlers.ts"
import { PeerBatches } from "./PeerHandlers.ts"
import * as unmatched from "./unmatched.ts"

/** `code` is the system's, such as `EADDRINUSE` or `EACCES`. */
export class CannotListen extends Schema.TaggedError<CannotListen>()("CannotListen", {
  address: Schema.String,
  code: Schema.String
}) {
  override get message() {
    return this.code === "EADDRINUSE"
      ? `${this.address} is taken: stop what listens there, or set LISTEN (or NODE_ADDR) to another host:port`
      : `cannot listen on ${this.address}: ${this.code}; set LISTEN to an address of this machine`
  }
}

const routerConfig = {
  caseSensitive: true,
  ignoreDuplicateSlashes: false,
  ignoreTrailingSlash: false,
  /** The head's own limit is the only one. */
  maxParamLength: Lane.headerBytesMax
}

const welcome = HttpServerResponse.text(
  "Rondo, a replicated key-value store.\n\nkeys   /kv/{key}\ndocs   /docs\nhealth /healthz\n"
)

/** The page has three megabytes of script, so it is built at the first request. */
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

/** The configured address, with the port that the system chose for port 0. */
export class BoundAddress extends Context.Service<BoundAddress, string>()("rondo/server/BoundAddress") {}

const cannotListen = (address: string) => ({ cause }: HttpServerError.ServeError) =>
  new CannotListen({ address, code: String((cause as NodeJS.ErrnoException | undefined)?.code ?? cause) })

/** Listens on `NodeConfig.listen` while the scope lives. Returns the bound address. */
export const attach = Effect.fnUntraced(function*(server: Http.Server) {
  const { listen, nodeId } = yield* NodeConfig
  const declared = yield* HttpRouter.toHttpEffect(routes).pipe(
    Effect.provideService(HttpRouter.RouterConfig, routerConfig)
  )
  const address = yield* Lane.attach(server, {
    ...parseAddress(listen)!,
    routes: [...yield* KvHandlers.routes, ...yield* PeerBatches.routes],
    declared: Effect.map(declared, unmatched.asProblem),
    recover: unmatched.recover
  }).pipe(
    Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(peerBodyBytesMax)),
    Effect.mapError(cannotListen(listen))
  )
  yield* Effect.addFinalizer(() => Effect.logInfo(`${nodeId} is stopping, and finishes the requests in flight`))
  return address
})

/** Serves with the server that `createServer` makes, of HTTP or of HTTPS. */
export const layer = (createServer: (options: Http.ServerOptions) => Http.Server) =>
  Layer.effect(BoundAddress, Effect.suspend(() => attach(createServer(Lane.options)))).pipe(
    Layer.provide([KvHandlers.layer, PeerBatches.layer]),
    Layer.provide([Lane.Admission.layer, Lane.Bodies.layer, NodeHttpServer.layerHttpServices])
  )
