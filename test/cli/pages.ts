/** What a node of a small cluster answers at `/cluster` and `/healthz`; node2 is down. */
import { Schema } from "effect"
import { Cluster, Health } from "../../src/api/AdminApi.ts"

const member = (number: number, liveness: string, share: number, heardAtMillis: number) => ({
  id: `node${number}`,
  address: `127.0.0.1:${8080 + number}`,
  liveness,
  state: "up",
  generation: 1,
  heartbeat: 2,
  incarnation: "0123456789ab",
  vnodes: 100,
  counter: 5,
  heardAtMillis,
  partitions: { replica: 1024, first: 341, share }
})

export const cluster = Schema.decodeUnknownSync(Cluster)({
  node: "node1",
  members: [member(1, "up", 0.331, 10_000), member(2, "down", 0.334, 100), member(3, "up", 0.335, 9_500)],
  ring: { epoch: 3, partitions: 1024 },
  replicationFactor: 3,
  quorums: { write: 2, read: 2 },
  replicator: {
    recovering: false,
    readRepairs: 0,
    hints: [{ peer: "node2", pending: 1200, pendingBytes: 1, dropped: 0, delivered: 0 }],
    comparisons: [
      { peer: "node2", state: "failed", differing: 0, received: 0, sent: 0 },
      { peer: "node3", state: "in-sync", differing: 0, received: 0, sent: 0 }
    ]
  }
})

export const health = Schema.decodeUnknownSync(Health)({
  status: "degraded",
  node: "node1",
  partitions: { total: 1024, withQuorum: 1024, withAllReplicas: 0 },
  members: { known: 3, up: 2, suspect: 0, down: 1 },
  storage: {
    writable: true,
    memtableBytes: 1,
    memtableCells: 1234,
    tables: 2,
    tableBytes: 1536,
    logBytes: 20 * 1024 * 1024
  },
  hints: { pending: 1200, pendingBytes: 1, dropped: 0 },
  recovering: false
})
