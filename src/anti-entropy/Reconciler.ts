/**
 * Brings this node and its peers in sync without any client touching a key: delivers hints to peers that are back, and
 * compares partitions with a peer when this node started, when the peer returned, when a hint for it or a write here
 * was lost, and now and then in any case: a coordinator that dies in the middle of a write leaves no trace of it.
 *
 * Invariant
 * - A node that is `recovering` settles only after one whole comparison with every other member of the ring. With a
 *   peer that has lost cells to damage it is not whole before these are given back, or given up.
 */
import { Clock, Duration, Effect, Random, type Scope } from "effect"
import type { Identity } from "../disk/Identity.ts"
import type { StorageError } from "../disk/StorageError.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import type { NodeId } from "../domain/NodeId.ts"
import type { Gossip, Liveness } from "../gossip/Gossip.ts"
import { restarting } from "../observability/restarting.ts"
import { uptimeMillisUnsafe } from "../observability/uptime.ts"
import { batchBytesMax } from "../peer/PeerApi.ts"
import type { Digests, PeerClient } from "../peer/PeerClient.ts"
import { PeerFailed } from "../peer/PeerError.ts"
import * as CellBytes from "../replication/cellBytes.ts"
import type { Hints } from "../replication/Hints.ts"
import type { Peers } from "../replication/Peers.ts"
import type { Ring } from "../ring/Ring.ts"
import type { Storage } from "../storage/Storage.ts"
import * as Comparison from "./Comparison.ts"
import * as partners from "./partners.ts"
import * as Replica from "./Replica.ts"

/** Cheap when nothing is to be done; short, so that a returned node is in sync soon. */
const interval = Duration.millis(500)
/** After a failed comparison; hints are tried at every round. */
const retryAfter = Duration.seconds(2)
const cellsPerDeliveryMax = 256
/** A comparison reads everything once, so the next one waits at least this many times as long as the last one took. */
const restFactor = 50

export interface ReconcilerOptions {
  readonly self: NodeId
  readonly replicationFactor: number
  /** Between two comparisons with one peer when nothing special happened. */
  readonly comparisonInterval: Duration.Duration
  readonly identity: Identity["Service"]
  readonly gossip: Gossip["Service"]
  readonly ring: Ring["Service"]
  readonly storage: Storage["Service"]
  readonly client: PeerClient["Service"]
  readonly hints: Hints
  readonly peers: Peers
  readonly digests: Effect.Effect<Digests, StorageError>
  readonly receive: (cells: ReadonlyArray<Cell>) => Effect.Effect<unknown, StorageError | PeerFailed>
}

/** The latest comparison of this node's partitions with one peer's. */
export interface ComparisonStatus {
  readonly peer: NodeId
  readonly state: "waiting" | "running" | "in-sync" | "failed"
  /** Partitions whose contents differed when it began. */
  readonly differing: number
  readonly received: number
  readonly sent: number
  /** Why it failed; it is tried again. */
  readonly failure: string | undefined
}

export interface Reconciler {
  readonly recovering: () => boolean
  readonly status: () => ReadonlyArray<ComparisonStatus>
  /** This node failed to store a write that others took, or got back what it had lost. */
  readonly missedLocally: () => void
}

/** What is known about one peer. */
interface PeerProgress {
  comparison: ComparisonStatus
  needed: boolean
  /** When a comparison is due in any case. */
  dueAtMillis: number
  /** At least one whole comparison since this start. */
  compared: boolean
  liveness: Liveness
  generation: number
  hintsDropped: number
  roundsToWait: number
}

/** The rounds run in the scope. */
export const make = Effect.fnUntraced(function*(
  options: ReconcilerOptions
): Effect.fn.Return<Reconciler, never, Scope.Scope> {
  const { gossip, hints, identity, peers, ring, self } = options
  const progressOf = new Map<NodeId, PeerProgress>()
  const clock = yield* Clock.Clock
  let recovering = identity.fresh || options.storage.salvaged

  const progress = (peer: NodeId): PeerProgress => {
    let known = progressOf.get(peer)
    if (known === undefined) {
      known = firstProgress(peer)
      progressOf.set(peer, known)
    }
    return known
  }

  /** What happened since the last round that only a comparison makes good. */
  const notice = (peer: NodeId, known: PeerProgress) => {
    const liveness = gossip.liveness(peer)
    const generation = gossip.members().find(({ record }) => record.nodeId === peer)?.record.generation ?? 0
    // A peer that started again compares by itself; one that was only out of reach does not know that it was.
    if (known.liveness === "down" && liveness === "up" && generation === known.generation) known.needed = true
    known.liveness = liveness
    known.generation = generation
    if (uptimeMillisUnsafe(clock) >= known.dueAtMillis) known.needed = true
    const dropped = hints.status().find((status) => status.peer === peer)?.dropped ?? 0
    if (dropped > known.hintsDropped) known.needed = true
    known.hintsDropped = dropped
  }

  const deliverHints = (peer: NodeId) =>
    hints.deliver(peer, (cells) =>
      Effect.forEach(
        CellBytes.batches(cells, { cellsMax: cellsPerDeliveryMax, bytesMax: batchBytesMax }),
        (batch) => peers.writeAll(peer, batch),
        { discard: true }
      ))

  const compare = Effect.fnUntraced(function*(peer: NodeId, known: PeerProgress) {
    const address = gossip.address(peer)
    if (address === undefined) return
    known.needed = false
    known.comparison = { ...known.comparison, state: "running", failure: undefined }
    const beganAtMillis = uptimeMillisUnsafe(clock)
    // Under load a routine comparison always finds what is just being written, which is no news.
    const report = beganAtMillis >= known.dueAtMillis ? Effect.logDebug : Effect.logInfo
    const isWhole = yield* Comparison.run({
      ...options,
      replica: Replica.make(options.client, ring, peer, address),
      onProgress: (change) => {
        known.comparison = { ...known.comparison, ...change }
      }
    })
    if (recovering && !known.compared && !isWhole) return yield* notWhole(peer)
    known.compared = true
    const tookMillis = uptimeMillisUnsafe(clock) - beganAtMillis
    const restMillis = Math.max(Duration.toMillis(options.comparisonInterval), restFactor * tookMillis)
    // Drawn, so that nodes that started together do not all read at once for ever.
    known.dueAtMillis = beganAtMillis + restMillis * (yield* Random.nextBetween(0.75, 1.25))
    known.comparison = { ...known.comparison, state: "in-sync" }
    if (known.comparison.differing > 0) {
      const { differing, received, sent } = known.comparison
      yield* report(`in sync with ${peer}: ${differing} partitions differed, ${received} cells in, ${sent} out`)
    }
  })

  const attend = (peer: NodeId) =>
    Effect.suspend(() => {
      const known = progress(peer)
      notice(peer, known)
      if (known.liveness !== "up" || known.roundsToWait-- > 0) return Effect.void
      known.roundsToWait = 0
      const delivery = hints.pending(peer) === 0 ? Effect.void : Effect.catch(deliverHints(peer), (error) => {
        known.roundsToWait = retryRounds
        return Effect.logDebug(`hints for ${peer}: ${error.message}`)
      })
      return delivery.pipe(
        Effect.andThen(Effect.suspend(() => known.needed ? compare(peer, known) : Effect.void)),
        Effect.catch((error) => {
          // Hints that the peer did not take say nothing of the comparison before.
          if (known.comparison.state === "running") {
            known.needed = true
            known.comparison = { ...known.comparison, state: "failed", failure: error.message }
          }
          known.roundsToWait = retryRounds
          return Effect.logDebug(`${peer}: ${error.message}`)
        })
      )
    })

  const settle = Effect.suspend(() => {
    const snapshot = ring.current()
    if (!recovering || !partners.knowsOthers(snapshot, options.replicationFactor)) return Effect.void
    if (!partners.othersOf(snapshot, self).every((node) => progress(node).compared)) return Effect.void
    return Effect.andThen(
      identity.markSettled,
      Effect.suspend(() => {
        recovering = false
        return Effect.logInfo("compared with every replica: this node answers reads now")
      })
    )
  })

  const round = Effect.suspend(() =>
    Effect.forEach(partners.othersOf(ring.current(), self), attend, {
      concurrency: "unbounded",
      discard: true
    })
  ).pipe(
    Effect.andThen(settle),
    Effect.catch((error) => Effect.logWarning(`not settled yet: ${error.message}`))
  )

  yield* Effect.forkScoped(restarting("reconciler", Effect.forever(Effect.andThen(round, Effect.sleep(interval)))))

  return {
    recovering: () => recovering,
    status: () => Array.from(progressOf.values(), ({ comparison }) => comparison),
    missedLocally: () => {
      for (const known of progressOf.values()) known.needed = true
    }
  }
})

const retryRounds = Math.ceil(Duration.toMillis(retryAfter) / Duration.toMillis(interval))

const notWhole = (peer: NodeId) =>
  new PeerFailed({
    peer,
    reason: "storage",
    detail: "it has lost cells to damage, and cannot say whether this node had acknowledged one of them"
  })

const firstProgress = (peer: NodeId): PeerProgress => ({
  comparison: { peer, state: "waiting", differing: 0, received: 0, sent: 0, failure: undefined },
  needed: true,
  dueAtMillis: Number.POSITIVE_INFINITY,
  compared: false,
  liveness: "down",
  generation: 0,
  hintsDropped: 0,
  roundsToWait: 0
})
