/**
 * Endpoints for operators and their tools. Liveness never depends on peers or disks; readiness is about this node;
 * health is about the cluster as this node sees it. A load balancer that used health would drop every node at once.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { NodeId } from "../domain/NodeId.ts"
import { PeerSecret } from "../peer/PeerApi.ts"
import * as Problem from "./Problem.ts"

const Text = Schema.String.pipe(HttpApiSchema.asText())
const MetricsText = Schema.String.pipe(
  HttpApiSchema.asText({ contentType: "text/plain; version=0.0.4; charset=utf-8" })
)

export const Hints = Schema.Struct({
  peer: NodeId,
  pending: Schema.Int,
  pendingBytes: Schema.Int,
  dropped: Schema.Int,
  delivered: Schema.Int
})

export const Comparison = Schema.Struct({
  peer: NodeId,
  state: Schema.Literals(["waiting", "running", "in-sync", "failed"]),
  differing: Schema.Int,
  received: Schema.Int,
  sent: Schema.Int,
  failure: Schema.optionalKey(Schema.String)
})

/** Present while this node cannot read all that it stored. */
export const Damage = Schema.Struct({
  /** The damaged files. */
  files: Schema.Array(Schema.String),
  /** Ranges of keys in which cells are missing until other replicas have given them back. */
  ranges: Schema.Int,
  /** A sentence about one of the damaged places. */
  found: Schema.String,
  /** The next step of the repair, or the reason why it waits. */
  next: Schema.String
})

/** The rereading of all tables in the background. Absent while it is off. */
export const Scrub = Schema.Struct({
  /** `false` between two passes. */
  running: Schema.Boolean,
  /** Bytes reread by the current pass; between two passes, by the last one. */
  bytesDone: Schema.Int,
  bytesTotal: Schema.Int,
  /** Passes that ended since the start. */
  passes: Schema.Int,
  lastPassEndedAtMillis: Schema.optionalKey(Schema.Number),
  /** Places found damaged since the start. */
  damaged: Schema.Int
})

export const StorageView = Schema.Struct({
  writable: Schema.Boolean,
  /** Why writes are refused at the moment. */
  refusing: Schema.optionalKey(Schema.String),
  damage: Schema.optionalKey(Damage),
  scrub: Schema.optionalKey(Scrub),
  memtableBytes: Schema.Int,
  memtableCells: Schema.Int,
  tables: Schema.Int,
  tableBytes: Schema.Int,
  logBytes: Schema.Int
})

export const Health = Schema.Struct({
  /**
   * `healthy`: every partition has all its replicas. `degraded`: something is missing and every operation succeeds.
   * `unavailable`: some partition lacks a quorum, or this node refuses writes for want of a ring.
   */
  status: Schema.Literals(["healthy", "degraded", "unavailable"]),
  node: NodeId,
  partitions: Schema.Struct({ total: Schema.Int, withQuorum: Schema.Int, withAllReplicas: Schema.Int }),
  members: Schema.Struct({ known: Schema.Int, up: Schema.Int, suspect: Schema.Int, down: Schema.Int }),
  storage: StorageView,
  hints: Schema.Struct({ pending: Schema.Int, pendingBytes: Schema.Int, dropped: Schema.Int }),
  recovering: Schema.Boolean
})

const MemberView = Schema.Struct({
  id: NodeId,
  address: Schema.String,
  liveness: Schema.Literals(["up", "suspect", "down"]),
  state: Schema.String,
  generation: Schema.Int,
  heartbeat: Schema.Int,
  incarnation: Schema.String,
  vnodes: Schema.Int,
  /** The member's Lamport clock as last heard. */
  counter: Schema.Int,
  heardAtMillis: Schema.Number,
  /** Partitions that it holds a replica of, and those in which it is the most preferred. */
  partitions: Schema.Struct({ replica: Schema.Int, first: Schema.Int, share: Schema.Number })
})

export const Cluster = Schema.Struct({
  node: NodeId,
  members: Schema.Array(MemberView),
  ring: Schema.Struct({ epoch: Schema.Int, partitions: Schema.Int }),
  replicationFactor: Schema.Int,
  quorums: Schema.Struct({ write: Schema.Int, read: Schema.Int }),
  replicator: Schema.Struct({
    recovering: Schema.Boolean,
    readRepairs: Schema.Int,
    hints: Schema.Array(Hints),
    comparisons: Schema.Array(Comparison)
  })
})

const sizes = { tables: Schema.Int, cells: Schema.Int, bytes: Schema.Int }

export const SnapshotTaken = Schema.Struct({
  name: Schema.String,
  /** On the node's machine. */
  directory: Schema.String,
  ...sizes,
  /** How much of these takes space of its own, because the file system has no hard links. */
  bytesCopied: Schema.Int
})

const StoredSnapshot = Schema.Struct({
  name: Schema.String,
  state: Schema.Literals(["complete", "incomplete", "damaged"]),
  ...sizes
})

export const SnapshotList = Schema.Struct({ node: NodeId, snapshots: Schema.Array(StoredSnapshot) })

const takeSnapshot = HttpApiEndpoint.post("takeSnapshot", "/snapshots", {
  payload: Schema.Struct({ name: Schema.String }),
  success: SnapshotTaken.pipe(HttpApiSchema.status(201)),
  error: [Problem.InvalidSnapshotName, Problem.SnapshotExists, Problem.StorageFailed]
}).annotateMerge(OpenApi.annotations({
  summary: "Take a snapshot of this node",
  description:
    "Writes a durable copy of what the node stores now into `snapshots/{name}` of its data directory, while " +
    "it keeps running. With hard links it takes no space until compaction has rewritten the tables."
})).middleware(PeerSecret)

const listSnapshots = HttpApiEndpoint.get("listSnapshots", "/snapshots", {
  success: SnapshotList,
  error: Problem.StorageFailed
}).annotateMerge(OpenApi.annotations({ summary: "The snapshots that this node keeps" })).middleware(PeerSecret)

const removeSnapshot = HttpApiEndpoint.delete("removeSnapshot", "/snapshots/:name", {
  params: { name: Schema.String },
  success: HttpApiSchema.NoContent,
  error: [Problem.InvalidSnapshotName, Problem.SnapshotNotFound, Problem.StorageFailed]
}).annotateMerge(OpenApi.annotations({ summary: "Remove a snapshot" })).middleware(PeerSecret)

const status503 = HttpApiSchema.status(503)

export class AdminApi extends HttpApiGroup.make("admin")
  .add(
    HttpApiEndpoint.get("livez", "/livez", { success: Text })
      .annotateMerge(OpenApi.annotations({ summary: "The process answers" })),
    HttpApiEndpoint.get("readyz", "/readyz", {
      query: { verbose: Schema.optionalKey(Schema.String) },
      success: Text,
      error: Text.pipe(status503)
    }).annotateMerge(OpenApi.annotations({
      summary: "This node can serve",
      description: "Named checks; `?verbose` lists each as `[+]name ok` or `[-]name failed: why`."
    })),
    HttpApiEndpoint.get("healthz", "/healthz", { success: Health, error: Health.pipe(status503) })
      .annotateMerge(OpenApi.annotations({ summary: "The cluster as this node sees it, in numbers" })),
    HttpApiEndpoint.get("cluster", "/cluster", { success: Cluster })
      .annotateMerge(OpenApi.annotations({ summary: "Members, ring and repair" })),
    HttpApiEndpoint.get("metrics", "/metrics", { success: MetricsText })
      .annotateMerge(OpenApi.annotations({ summary: "Metrics in Prometheus' text format" })),
    takeSnapshot,
    listSnapshots,
    removeSnapshot
  )
  .annotateMerge(OpenApi.annotations({
    title: "Operations",
    description: "Health, membership, metrics and snapshots. Snapshots need the cluster's secret, as peers do."
  }))
{}
