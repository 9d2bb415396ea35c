/**
 * Which nodes hold a key, and in which order. A pure core in `HashRing`; this service follows the members.
 */
import { Context, type Effect, type Stream } from "effect"
import type { Key } from "../domain/Key.ts"
import type { NodeId } from "../domain/NodeId.ts"

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
}>()("rondo/ring/Ring") {}
