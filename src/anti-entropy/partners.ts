/** Which nodes share keys with this one, read off a ring. Pure. */
import type { NodeId } from "../domain/NodeId.ts"
import type { RingSnapshot } from "../ring/Ring.ts"

export const othersOf = ({ nodes }: RingSnapshot, self: NodeId): ReadonlyArray<NodeId> =>
  nodes.filter((node) => node !== self)

/** Partitions of which both nodes are replicas. */
export const sharedPartitions = (
  { preferenceLists }: RingSnapshot,
  self: NodeId,
  other: NodeId
): ReadonlyArray<number> =>
  preferenceLists.flatMap((nodes, partition) => nodes.includes(self) && nodes.includes(other) ? [partition] : [])

/**
 * Alone, a node cannot tell a new cluster from one that it has not heard of yet. The first peer that it hears of brings
 * all that the peer knows.
 */
export const knowsOthers = ({ nodes }: RingSnapshot, replicationFactor: number): boolean =>
  nodes.length >= Math.min(2, replicationFactor)
