/** Which of a key's replicas to ask, and in which order. Pure: `Latencies` measures. */
import type { NodeId } from "../domain/NodeId.ts"
import type { Liveness } from "../gossip/Gossip.ts"
import type { ReplicaFailure } from "./CoordinatorError.ts"

/** One read in this many asks the slowest replica early, or nobody would notice that it has recovered. */
const exploreEvery = 32

/** Replicas that may answer, and those known to be down. */
export interface Split {
  readonly present: ReadonlyArray<NodeId>
  readonly absent: ReadonlyArray<ReplicaFailure>
}

export const split = (replicas: ReadonlyArray<NodeId>, liveness: (node: NodeId) => Liveness): Split => {
  const down = replicas.filter((node) => liveness(node) === "down")
  return down.length === 0
    ? { present: replicas, absent: none }
    : {
      present: replicas.filter((node) => !down.includes(node)),
      absent: down.map((node) => ({ node, reason: "down" }))
    }
}

const none: ReadonlyArray<ReplicaFailure> = []

/** How a node sees the others. */
export interface Outlook {
  readonly self: NodeId
  readonly liveness: (node: NodeId) => Liveness
  readonly averageMillis: (node: NodeId) => number
}

/** This node first, then by health and recent latency. `turn` counts the reads. */
export const forReading = (present: ReadonlyArray<NodeId>, outlook: Outlook, turn: number): ReadonlyArray<NodeId> => {
  const ordered = present.toSorted((left, right) => rank(left, outlook) - rank(right, outlook))
  if (turn % exploreEvery !== 0 || ordered.length < 3) return ordered
  const last = ordered.at(-1)!
  return outlook.liveness(last) === "up" ? [ordered[0]!, last, ...ordered.slice(1, -1)] : ordered
}

const rank = (node: NodeId, { averageMillis, liveness, self }: Outlook): number => {
  if (node === self) return -1
  const suspectPenalty = liveness(node) === "suspect" ? Number.MAX_SAFE_INTEGER / 2 : 0
  return suspectPenalty + averageMillis(node)
}
