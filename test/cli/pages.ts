/** What a node of a small cluster answers at `/cluster` and `/healthz`; node2 is down. */
import type { Liveness } from "../../src/gossip/Gossip.ts"
import * as Health from "../../src/server/Health.ts"
import { member, node1, node2, node3, replicatorStatus, ring, settings, storageStats } from "../server/fakes.ts"

const heard = (node: typeof node1, liveness: Liveness, heardAtMillis: number) => ({
  ...member(node, liveness),
  heardAtMillis
})

const observation: Health.Observation = {
  self: node1,
  settings,
  members: [heard(node1, "up", 10_000), heard(node2, "down", 100), heard(node3, "up", 9_500)],
  ring,
  storage: {
    ...storageStats,
    memtableCells: 1234,
    logBytes: 20 * 1024 * 1024,
    scrub: { ...storageStats.scrub, bytesPerSecond: 0 }
  },
  replicator: {
    ...replicatorStatus,
    hints: replicatorStatus.hints.map((hints) => ({ ...hints, pending: 1200 })),
    comparisons: replicatorStatus.comparisons.map((comparison) => ({ ...comparison, state: "in-sync" }))
  }
}

export const cluster = Health.cluster(observation)
export const health = Health.health(observation)
