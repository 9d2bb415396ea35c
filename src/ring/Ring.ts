/**
 * Which nodes hold a key, and in which order. A pure core in `HashRing`; this service follows the members.
 */
import { Context, Effect, Layer, Stream, SubscriptionRef } from "effect"
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
  /** The current ring at once, then each new epoch. */
  readonly changes: Stream.Stream<RingSnapshot>
  /** Completes when the ring holds at least this many nodes. */
  readonly awaitNodes: (count: number) => Effect.Effect<void>
}>()("rondo/ring/Ring") {
  /** Follows the members that `Gossip` publishes. */
  static readonly layer = Layer.effect(
    Ring,
    Effect.gen(function*() {
      const settings = yield* ClusterConfig
      const gossip = yield* Gossip
      return yield* make(settings, ringMembers(gossip.members()), Stream.map(gossip.changes, ringMembers))
    })
  )

  /** The same logic over members that never change, all of the same weight. */
  static readonly layerFixed = (nodes: ReadonlyArray<NodeId>, vnodes = 100) =>
    Layer.effect(
      Ring,
      Effect.gen(function*() {
        const members = nodes.map((nodeId) => ({ nodeId, vnodes }))
        return yield* make(yield* ClusterConfig, members, Stream.empty)
      })
    )
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

const make = Effect.fnUntraced(function*(
  settings: ClusterSettings,
  initial: ReadonlyArray<HashRing.RingMember>,
  updates: Stream.Stream<ReadonlyArray<HashRing.RingMember>>
) {
  let print = fingerprint(initial)
  const snapshots = yield* SubscriptionRef.make(snapshotOf(1, initial, settings))
  const current = () => SubscriptionRef.getUnsafe(snapshots)
  const partitionOf = (key: Key) => Partition.of(key, settings.partitions)

  const follow = (members: ReadonlyArray<HashRing.RingMember>) => {
    const printNow = fingerprint(members)
    if (printNow === print) return Effect.void
    print = printNow
    return SubscriptionRef.set(snapshots, snapshotOf(current().epoch + 1, members, settings))
  }
  yield* Effect.forkScoped(Stream.runForEach(updates, follow))

  return Ring.of({
    current,
    partitionOf,
    preferenceList: (key) => current().preferenceLists[partitionOf(key)]!,
    changes: SubscriptionRef.changes(snapshots),
    awaitNodes: (count) =>
      SubscriptionRef.changes(snapshots).pipe(
        Stream.filter(({ nodes }) => nodes.length >= count),
        Stream.runHead,
        Effect.asVoid
      )
  })
})
