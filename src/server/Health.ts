/**
 * Readiness of this node and health of the cluster, from what the services report. Pure.
 *
 * A member counts towards a quorum until it is down, and as a full replica only while it is up: suspicion makes the
 * cluster degraded, not unavailable.
 */
import type { LostRangesStatus } from "../anti-entropy/LostRanges.ts"
import type { Cluster, Damage, Health, StorageView } from "../api/AdminApi.ts"
import type { ClusterSettings } from "../config/ClusterConfig.ts"
import type { NodeId } from "../domain/NodeId.ts"
import type { Liveness, Member } from "../gossip/Gossip.ts"
import type { ReplicatorStatus } from "../replicator/Replicator.ts"
import type { RingSnapshot } from "../ring/Ring.ts"
import * as Holes from "../storage/manifest/Holes.ts"
import type { StorageStats } from "../storage/Storage.ts"

/** The reports of all services at one moment. */
export interface Observation {
  readonly self: NodeId
  readonly settings: ClusterSettings
  readonly members: ReadonlyArray<Member>
  readonly ring: RingSnapshot
  readonly storage: StorageStats
  readonly replicator: ReplicatorStatus
}

export interface Check {
  readonly name: string
  /** Why it fails, or `undefined`. */
  readonly failure: string | undefined
}

/** Whether this node should get requests. */
export const readiness = ({ replicator, ring, settings, storage }: Observation): ReadonlyArray<Check> => {
  const wanted = Math.max(settings.writeQuorum, settings.readQuorum)
  const nodes = ring.nodes.length
  return [
    { name: "storage", failure: storage.refusing?.message },
    { name: "ring", failure: nodes >= wanted ? undefined : `${nodes} of ${wanted} nodes known that a quorum needs` },
    {
      name: "recovered",
      failure: replicator.recovering
        ? "the data directory is new or salvaged, and has not synced with every replica yet"
        : undefined
    }
  ]
}

/** `[+]storage ok` or `[-]ring failed: why`, one a line: the form of etcd and Kubernetes. */
export const readinessText = (checks: ReadonlyArray<Check>, verbose: boolean): string => {
  const failed = checks.filter(({ failure }) => failure !== undefined)
  const lines = (verbose ? checks : failed).map(({ failure, name }) =>
    failure === undefined ? `[+]${name} ok` : `[-]${name} failed: ${failure}`
  )
  return [...lines, failed.length === 0 ? "ok" : "not ready", ""].join("\n")
}

export const partitions = (
  ring: RingSnapshot,
  settings: ClusterSettings,
  liveness: (node: NodeId) => Liveness
): (typeof Health.Type)["partitions"] => {
  const wanted = Math.max(settings.writeQuorum, settings.readQuorum)
  let withQuorum = 0
  let withAllReplicas = 0
  for (const replicas of ring.preferenceLists) {
    let up = 0
    let reachable = 0
    for (const node of replicas) {
      const state = liveness(node)
      if (state === "up") up++
      if (state !== "down") reachable++
    }
    if (reachable >= wanted) withQuorum++
    if (up >= settings.replicationFactor) withAllReplicas++
  }
  return { total: settings.partitions, withQuorum, withAllReplicas }
}

export const members = (known: ReadonlyArray<Member>): (typeof Health.Type)["members"] => {
  const count = (wanted: Liveness) => known.filter(({ liveness }) => liveness === wanted).length
  return { known: known.length, up: count("up"), suspect: count("suspect"), down: count("down") }
}

export const health = (observation: Observation): typeof Health.Type => {
  const { replicator, ring, self, settings } = observation
  const byPartition = partitions(ring, settings, livenessOf(observation))
  const byMember = members(observation.members)
  const damage = damageOf(observation.storage, replicator.lostRanges)
  const storage = { ...storageView(observation.storage), ...(damage && { damage }) }
  const { recovering } = replicator
  const complete = byPartition.withAllReplicas === byPartition.total && byMember.up === byMember.known
  return {
    status: byPartition.withQuorum < byPartition.total
      ? "unavailable"
      : complete && storage.writable && damage === undefined && !recovering
      ? "healthy"
      : "degraded",
    node: self,
    partitions: byPartition,
    members: byMember,
    storage,
    hints: {
      pending: total(replicator.hints.map(({ pending }) => pending)),
      pendingBytes: total(replicator.hints.map(({ pendingBytes }) => pendingBytes)),
      dropped: total(replicator.hints.map(({ dropped }) => dropped))
    },
    recovering
  }
}

export const cluster = (observation: Observation): typeof Cluster.Type => {
  const { replicator, ring, self, settings } = observation
  return {
    node: self,
    members: observation.members.map(({ heardAtMillis, liveness, record: { nodeId: id, ...record } }) => ({
      id,
      ...record,
      liveness,
      heardAtMillis,
      partitions: ownership(ring, id)
    })),
    ring: { epoch: ring.epoch, partitions: settings.partitions },
    replicationFactor: settings.replicationFactor,
    quorums: { write: settings.writeQuorum, read: settings.readQuorum },
    replicator: {
      recovering: replicator.recovering,
      readRepairs: replicator.readRepairs,
      hints: replicator.hints,
      comparisons: replicator.comparisons.map(({ failure, ...rest }) =>
        failure === undefined ? rest : { ...rest, failure }
      )
    }
  }
}

const livenessOf = ({ members }: Observation) => {
  const byNode = new Map(members.map(({ liveness, record }) => [record.nodeId, liveness]))
  return (node: NodeId): Liveness => byNode.get(node) ?? "down"
}

const ownership = ({ preferenceLists }: RingSnapshot, node: NodeId) => {
  const replica = preferenceLists.filter((replicas) => replicas.includes(node)).length
  const first = preferenceLists.filter((replicas) => replicas[0] === node).length
  return { replica, first, share: preferenceLists.length === 0 ? 0 : first / preferenceLists.length }
}

/** The files that this node cannot read, and the next step of their repair. */
const damageOf = ({ damage, holes }: StorageStats, lostRanges: LostRangesStatus): typeof Damage.Type | undefined => {
  const found = damage ?? (holes[0] && Holes.corruption(holes[0]))
  if (found === undefined) return undefined
  const files = new Set(holes.map(({ file }) => file))
  if (damage !== undefined) files.add(damage.path)
  return {
    files: Array.from(files),
    ranges: holes.length,
    found: found.message,
    next: holes.length === 0 ? "the table is rewritten without the part that cannot be read" : nextOf(lostRanges)
  }
}

const nextOf = ({ reason, state }: LostRangesStatus): string => {
  const wanted = "the lost cells come back from the other replicas"
  if (state === "waiting") return `${wanted}: waiting ${reason}`
  return state === "failed" ? `${wanted}: tried again, because ${reason}` : wanted
}

const storageView = (stats: StorageStats): typeof StorageView.Type => {
  const { logBytes, memtableBytes, memtableCells, refusing, scrub, tableBytes, tables } = stats
  const { bytesPerSecond, lastPassEndedAtMillis, ...progress } = scrub
  return {
    writable: refusing === undefined,
    ...(refusing && { refusing: refusing.message }),
    ...(bytesPerSecond > 0 && {
      scrub: { ...progress, ...(lastPassEndedAtMillis !== undefined && { lastPassEndedAtMillis }) }
    }),
    memtableBytes,
    memtableCells,
    tables,
    tableBytes,
    logBytes
  }
}

const total = (numbers: ReadonlyArray<number>): number => numbers.reduce((sum, number) => sum + number, 0)
