/**
 * Which of a key's replicas to ask, and in which order: this node first, then by health and recent latency.
 */
import type { Clock, Effect as EffectType } from "effect"
import { Effect } from "effect"
import type { NodeId } from "../domain/NodeId.ts"
import type { Gossip } from "../gossip/Gossip.ts"
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
  /** Takes the time of a remote read. */
  readonly timed: <A, E>(
    node: NodeId,
    clock: Clock.Clock,
    read: EffectType.Effect<A, E>
  ) => EffectType.Effect<A, E>
  readonly hedgeAfter: HedgeDelay.HedgeDelay["current"]
}

const nanosPerMilli = 1_000_000

export const make = (gossip: Gossip["Service"]): ReplicaOrder => {
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
    timed: (node, clock, read) =>
      node === gossip.self
        ? read
        : Effect.suspend(() => {
          const startedAt = clock.currentTimeNanosUnsafe()
          return Effect.map(read, (answer) => {
            record(node, Number(clock.currentTimeNanosUnsafe() - startedAt) / nanosPerMilli)
            return answer
          })
        }),
    hedgeAfter: hedgeDelay.current
  }
}

const none: ReadonlyArray<ReplicaFailure> = []
