/** The endpoints that nodes offer each other. Each needs the cluster's secret (`PeerAuth`). */
import { Schema } from "effect"
import {
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  HttpApiSecurity,
  OpenApi
} from "effect/http-api"
import { Key } from "../domain/Key.ts"
import {
  GossipRefused,
  PeerMessageRefused,
  PeerUnauthorized,
  ReplicaRecovering,
  ReplicaStorageFailed
} from "./PeerProblem.ts"
import { GossipMessage, GossipReply } from "./PeerProtocol.ts"

const Unauthorized = PeerUnauthorized.pipe(HttpApiSchema.encodeToWithHeaders({
  body: PeerUnauthorized,
  headers: { "www-authenticate": Schema.String }
}, {
  decode: ({ body }) => body,
  encode: (body) => ({ body, headers: { "www-authenticate": "Bearer" } })
}))

export class PeerSecret extends HttpApiMiddleware.Service<PeerSecret>()("rondo/peer/PeerSecret", {
  security: { clusterSecret: HttpApiSecurity.bearer },
  error: Unauthorized
}) {}

const Binary = Schema.Uint8Array.pipe(HttpApiSchema.asUint8Array({ contentType: "application/octet-stream" }))
const CellLines = HttpApiSchema.StreamUint8Array({ contentType: "application/x-ndjson" })

/** Several times the largest batch with its largest cell. */
export const peerBodyBytesMax = 16 * 1024 * 1024
/** A batch of this size goes out without waiting for more cells. */
export const batchBytesMax = 4 * 1024 * 1024
export const batchCellsMax = 1024
export const keysPerRequestMax = 1024

export const DigestsAnswer = Schema.Struct({
  digests: Schema.Array(Schema.String),
  /** Present when the node has lost cells to damage and not got them back yet. */
  damaged: Schema.optionalKey(Schema.Boolean)
})

export const VersionsRequest = Schema.Struct({
  partitions: Schema.Array(Schema.Int),
  range: Schema.optionalKey(Schema.Struct({ from: Schema.String, to: Schema.String }))
})

export class PeerApi extends HttpApiGroup.make("peer")
  .add(
    HttpApiEndpoint.post("write", "/internal/kv", {
      payload: Binary,
      success: Binary,
      error: [PeerMessageRefused, ReplicaStorageFailed]
    }),
    HttpApiEndpoint.post("read", "/internal/read", {
      payload: Binary,
      success: Binary,
      error: [PeerMessageRefused, ReplicaRecovering, ReplicaStorageFailed]
    }),
    HttpApiEndpoint.post("gossip", "/gossip", { payload: GossipMessage, success: GossipReply, error: GossipRefused }),
    HttpApiEndpoint.post("probe", "/internal/probe", {
      payload: Schema.Struct({ target: Schema.String }),
      success: Schema.Struct({ reached: Schema.Boolean })
    }),
    HttpApiEndpoint.get("digests", "/internal/digests", {
      success: DigestsAnswer,
      error: ReplicaStorageFailed
    }),
    /**
     * Lines of `{"key","version"}`, then `{"end":true}`: a stream without the end was cut. With a range, only its keys,
     * and only from a node that can vouch for having lost none of them.
     */
    HttpApiEndpoint.post("versions", "/internal/versions", {
      payload: VersionsRequest,
      success: CellLines,
      error: [ReplicaRecovering, ReplicaStorageFailed]
    }),
    /** Cells as in an SSTable, one a line, then `{"end":true}`. */
    HttpApiEndpoint.post("cells", "/internal/cells", {
      payload: Schema.Struct({ keys: Schema.Array(Key).check(Schema.isMaxLength(keysPerRequestMax)) }),
      success: CellLines
    }),
    /** Every cell of this node in key order, tombstones included, then `{"end":true}`: for `rondo export`. */
    HttpApiEndpoint.get("allCells", "/internal/cells", { success: CellLines })
  )
  .middleware(PeerSecret)
  .annotateMerge(OpenApi.annotations({
    title: "Peers",
    description: "For nodes among themselves, not for clients; needs the cluster's secret."
  }))
{}
