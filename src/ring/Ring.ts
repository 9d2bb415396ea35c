/**
 * Which nodes hold a key, and in which order. A pure core in `HashRing`; this service follows the members.
 */
import { Context, Effect, Layer, Stream } from "effect"
import { ClusterConfig, type ClusterSettings } from "../config/ClusterConfig.ts"
import type { Key } from "../domain/Key.ts"
import type { NodeId } from "../domain/NodeId.ts"
import * as Partition from "../domain/Partition.ts"
import { Gossip, type Member } from "../gossip/Gossip.ts"
import * as HashRing from "./HashRing.ts"

/** Everything derived from one membership. Immutable; a request keeps the one it began with. */
export interface RingSnapshot {
  /** Raised by every change of membership, never by liveness. */
  readonly epoch: number
  /** Sorted by node id. */
  readonly nodes: ReadonlyArray<NodeId>
  /** For each partition its replicas, most preferred first; fewer than N only while the cluster is smaller. */
  readonly preferenceLists: ReadonlyArray<ReadonlyArray<NodeId>>
}

export class Ring extends Context.Service<Ring, {
  /** Plain calls: they are on the path of every request. */
  readonly current: () => RingSnapshot
  readonly partitionOf: (key: Key) => number
  /** `current().preferenceLists[partitionOf(key)]`. */
  readonly preferenceList: (key: Key) => ReadonlyArray<NodeId>
}>()("rondo/ring/Ring") {
  /** Follows the members that `Gossip` publishes. */
  static readonly layer = Layer.effect(Ring, Effect.suspend(() => make))
}

/** All known members, dead or alive: only leaving and removal take keys from a node. */
const ringMembers = (members: ReadonlyArray<Member>): ReadonlyArray<HashRing.RingMember> =>
  members
    .filter(({ record }) => record.state === "up")
    .map(({ record: { nodeId, vnodes } }) => ({ nodeId, vnodes }))

/** Equal texts mean equal rings. */
const fingerprint = (members: ReadonlyArray<HashRing.RingMember>): string =>
  members.map(({ nodeId, vnodes }) => `${nodeId} ${vnodes}`).toSorted().join("\n")

const snapshotOf = (
  epoch: number,
  members: ReadonlyArray<HashRing.RingMember>,
  { partitions, replicationFactor }: ClusterSettings
): RingSnapshot => ({
  epoch,
  nodes: members.map(({ nodeId }) => nodeId).toSorted(),
  preferenceLists: HashRing.preferenceLists(HashRing.make(members), partitions, replicationFactor)
})

const make = Effect.gen(function*() {
  const settings = yield* ClusterConfig
  const gossip = yield* Gossip
  const initial = ringMembers(gossip.members())
  let print = fingerprint(initial)
  let snapshot = snapshotOf(1, initial, settings)
  const partitionOf = (key: Key) => Partition.of(key, settings.partitions)

  const follow = (members: ReadonlyArray<Member>) =>
    Effect.sync(() => {
      const changed = ringMembers(members)
      const printNow = fingerprint(changed)
      if (printNow === print) return
      print = printNow
      snapshot = snapshotOf(snapshot.epoch + 1, changed, settings)
    })
  yield* Effect.forkScoped(Stream.runForEach(gossip.changes, follow))

  return Ring.of({
    current: () => snapshot,
    partitionOf,
    preferenceList: (key) => snapshot.preferenceLists[partitionOf(key)]!
  })
})
