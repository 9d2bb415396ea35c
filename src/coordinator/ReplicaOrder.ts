/**
 * Which of a key's replicas to ask, and in which order: this node first, then by health and recent latency.
 */
import { Duration, Exit } from "effect"
import type { NodeId } from "../domain/NodeId.ts"
import type { Gossip } from "../gossip/Gossip.ts"
import type { Done } from "../replication/Call.ts"
import type { ReplicaFailure } from "./CoordinatorError.ts"
import * as HedgeDelay from "./HedgeDelay.ts"

/** Weight of one answer in a replica's moving average. */
const weight = 0.1
/** Now and then the slower replica is asked first, or it would never be seen to have recovered. */
const exploreEvery = 32

export interface ReplicaOrder {
  /** Replicas that may answer, and those known to be down. */
  readonly split: (replicas: ReadonlyArray<NodeId>) => {
    readonly present: ReadonlyArray<NodeId>
    readonly absent: ReadonlyArray<ReplicaFailure>
  }
  readonly forReading: (present: ReadonlyArray<NodeId>) => ReadonlyArray<NodeId>
  /** Takes the time, from now, until another node answers. */
  readonly timed: <A, E>(node: NodeId, done: Done<A, E>) => Done<A, E>
  readonly hedgeAfterMillis: () => number
}

/** `now` in milliseconds. */
export const make = (gossip: Gossip["Service"], now: () => number): ReplicaOrder => {
  const averageMillis = new Map<NodeId, number>()
  const hedgeDelay = HedgeDelay.make()
  let reads = 0

  const record = (node: NodeId, millis: number) => {
    hedgeDelay.record(millis)
    const average = averageMillis.get(node)
    averageMillis.set(node, average === undefined ? millis : average + weight * (millis - average))
  }

  const rank = (node: NodeId): number => {
    if (node === gossip.self) return -1
    const suspectPenalty = gossip.liveness(node) === "suspect" ? Number.MAX_SAFE_INTEGER / 2 : 0
    return suspectPenalty + (averageMillis.get(node) ?? 0)
  }

  return {
    split: (replicas) => {
      const down = replicas.filter((node) => gossip.liveness(node) === "down")
      return down.length === 0
        ? { present: replicas, absent: none }
        : {
          present: replicas.filter((node) => !down.includes(node)),
          absent: down.map((node) => ({ node, reason: "down" }))
        }
    },
    forReading: (present) => {
      const ordered = present.toSorted((left, right) => rank(left) - rank(right))
      if (++reads % exploreEvery !== 0 || ordered.length < 3) return ordered
      const last = ordered.at(-1)!
      return gossip.liveness(last) === "up" ? [ordered[0]!, last, ...ordered.slice(1, -1)] : ordered
    },
    timed: (node, done) => {
      if (node === gossip.self) return done
      const startedAt = now()
      return (exit) => {
        if (Exit.isSuccess(exit)) record(node, now() - startedAt)
        done(exit)
      }
    },
    hedgeAfterMillis: () => Duration.toMillis(hedgeDelay.current())
  }
}

const none: ReadonlyArray<ReplicaFailure> = []
