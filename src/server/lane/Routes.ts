/**
 * The lane's handlers by the declared methods and paths of their endpoints. The lane and the declared groups use the
 * same handlers, so they cannot disagree. Pure.
 */
import { NodeHttpServerRequest } from "@effect/platform-node"
import type { Effect } from "effect"
import type { HttpServerRequest, HttpServerResponse } from "effect/http"
import type { HttpApiBuilder, HttpApiEndpoint } from "effect/http-api"
import type { IncomingMessage, ServerResponse } from "node:http"
import { pathOf } from "../target.ts"

/** Runs uninterruptible. Writes the answer and returns `sent`, or returns the answer. */
export type Handler = (
  request: IncomingMessage,
  response: ServerResponse
) => Effect.Effect<HttpServerResponse.HttpServerResponse>

/** Handlers by the names of their endpoints. */
export type Handlers<Name extends string> = Readonly<Record<Name, Handler>>

export interface Route {
  readonly method: string
  /** A path, or a prefix and a star. */
  readonly path: string
  readonly handler: Handler
  /** Requests for which it is `false` go to the declared endpoint, which refuses them. */
  readonly mayEnter: (request: IncomingMessage) => boolean
}

const always = () => true

/** The routes of a group's endpoints. `mayEnter` replaces the group's middleware. */
export const of = <Name extends string>(
  group: { readonly endpoints: Readonly<Record<Name, { readonly method: string; readonly path: string }>> },
  handlers: Handlers<Name>,
  mayEnter: Route["mayEnter"] = always
): ReadonlyArray<Route> =>
  Object.entries<Handler>(handlers).map(([name, handler]) => {
    const { method, path } = group.endpoints[name as Name]
    return { method, path, handler, mayEnter }
  })

/** Registers the handlers with the declared endpoints. */
export const declare = <
  Endpoints extends Record<string, HttpApiEndpoint.Constraint>,
  Name extends keyof Endpoints & string
>(
  group: HttpApiBuilder.Handlers<never, Endpoints>,
  handlers: Handlers<Name>
): HttpApiBuilder.Handlers<HttpApiEndpoint.Middleware<Endpoints[Name]>, Endpoints, Name> => {
  for (const [name, handler] of Object.entries<Handler>(handlers)) {
    group.handleRaw(name, ofNode(handler) as never, { uninterruptible: true })
  }
  return group as never
}

const ofNode =
  (handler: Handler) => ({ request }: { readonly request: HttpServerRequest.HttpServerRequest }): ReturnType<Handler> =>
    handler(
      NodeHttpServerRequest.toIncomingMessage(request) as IncomingMessage,
      NodeHttpServerRequest.toServerResponse(request) as ServerResponse
    )

export const finder = (routes: ReadonlyArray<Route>): (request: IncomingMessage) => Handler | undefined => {
  const byPath = Map.groupBy(routes, ({ path }) => path)
  const table = Array.from(byPath, ([path, group]) => ({
    path: path.replace(/\*$/, ""),
    isPrefix: path.endsWith("*"),
    byMethod: new Map(group.map((route) => [route.method, route]))
  }))
  return (request) => {
    const target = pathOf(request.url!)
    for (const { byMethod, isPrefix, path } of table) {
      if (isPrefix ? !target.startsWith(path) : target !== path) continue
      const route = byMethod.get(request.method!)
      return route !== undefined && route.mayEnter(request) ? route.handler : undefined
    }
    return undefined
  }
}
