/** All endpoints of a node. The server's routes and the OpenAPI document are made from this declaration. */
import { HttpApi, OpenApi } from "effect/http-api"
import { PeerApi } from "../peer/PeerApi.ts"
import { AdminApi } from "./AdminApi.ts"
import { KvApi } from "./KvApi.ts"

/** OpenAPI has no wildcard, so the document shows the key as a parameter that may hold slashes. */
const nameKeyParameter = (document: Record<string, unknown>) => {
  const paths = Object.entries(document["paths"] as Record<string, unknown>)
  return { ...document, paths: Object.fromEntries(paths.map(([path, item]) => [path.replace("/*", "/{key}"), item])) }
}

export class Api extends HttpApi.make("rondo")
  .add(KvApi)
  .add(AdminApi)
  .add(PeerApi)
  .annotateMerge(OpenApi.annotations({
    title: "Rondo",
    version: "0.1.0",
    description: "A replicated key-value store: every node is equal and answers every request.",
    transform: nameKeyParameter
  }))
{}
