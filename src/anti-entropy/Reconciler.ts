/**
 * Brings this node and its peers in sync without any client touching a key: delivers hints to peers that are back, and
 * compares partitions with a peer when this node started, when the peer returned, when a hint for it or a write here
 * was lost, and now and then in any case: a coordinator that dies in the middle of a write leaves no trace of it.
 *
 * Invariant
 * - A node that is recovering settles only after one complete comparison with every other member of the ring. With a
 *   peer that has lost cells to damage it is incomplete until these are given back, or given up.
 */
import { Cause, Clock, Context, Duration, Effect, FiberMap, Layer, Random } from "effect"
import { ClusterConfig } from "../config/ClusterConfig.ts"
import { NodeConfig } from "../config/NodeConfig.ts"
import type { StorageError } from "../disk/StorageError.ts"
import type { NodeId } from "../domain/NodeId.ts"
import { Gossip, type Liveness } from "../gossip/Gossip.ts"
import { restarting } from "../observability/restarting.ts"
import { uptimeMillisUnsafe } from "../observability/uptime.ts"
import { batchBytesMax } from "../peer/PeerApi.ts"
import { PeerClient } from "../peer/PeerClient.ts"
import { PeerFailed } from "../peer/PeerError.ts"
import * as CellBytes from "../replication/cellBytes.ts"
import { Hints } from "../replication/Hints.ts"
import { Intake } from "../replication/Intake.ts"
import { Peers } from "../replication/Peers.ts"
import { Ring } from "../ring/Ring.ts"
import { Storage } from "../storage/Storage.ts"
import * as Comparison from "./Comparison.ts"
import { Holdings } from "./Holdings.ts"
import * as partners from "./partners.ts"
import { Recovery } from "./Recovery.ts"
import * as Replica from "./Replica.ts"

/** Cheap when nothing is to be done; short, so that a returned node is in sync soon. */
const interval = Duration.millis(500)
/** After a comparison that failed, or hints that were not taken. */
const retryAfterMillis = 2000
const delivery = { cellsMax: 256, bytesMax: batchBytesMax }
/** A comparison reads everything once, so the next one waits at least this many times as long as the last one took. */
const restFactor = 100

/** The latest comparison of this node's partitions with one peer's. */
export interface ComparisonStatus extends Comparison.ComparisonProgress {
  readonly peer: NodeId
  readonly state: "waiting" | "running" | "in-sync" | "failed"
  /** Why it failed; it is tried again. */
  readonly failure: string | undefined
}

interface PeerProgress {
  comparison: ComparisonStatus
  isNeeded: boolean
  /** When a comparison is due in any case. */
  dueAtMillis: number
  /** Nothing is tried before: something failed. */
  retryAtMillis: number
  /** At least one complete comparison since this start. */
  isCompared: boolean
  liveness: Liveness
  generation: number
  hintsDropped: number
}

const firstProgress = (peer: NodeId): PeerProgress => ({
  comparison: { peer, state: "waiting", differing: 0, received: 0, sent: 0, failure: undefined },
  isNeeded: true,
  dueAtMillis: Number.POSITIVE_INFINITY,
  retryAtMillis: Number.NEGATIVE_INFINITY,
  isCompared: false,
  liveness: "down",
  generation: 0,
  hintsDropped: 0
})

export class Reconciler extends Context.Service<Reconciler, {
  readonly status: () => ReadonlyArray<ComparisonStatus>
  /** This node failed to store a write that others took, or got back what it had lost. */
  readonly missedLocally: () => void
}>()("rondo/anti-entropy/Reconciler") {
  /** Works in rounds. */
  static readonly layer = Layer.effect(Reconciler, Effect.suspend(() => make))
}

const make = Effect.gen(function*() {
  const { comparisonInterval } = yield* NodeConfig
  const { replicationFactor } = yield* ClusterConfig
  const client = yield* PeerClient
  const clock = yield* Clock.Clock
  const gossip = yield* Gossip
  const hints = yield* Hints
  const holdings = yield* Holdings
  const intake = yield* Intake
  const peers = yield* Peers
  const recovery = yield* Recovery
  const ring = yield* Ring
  const storage = yield* Storage
  const { self } = gossip
  const progressOf = new Map<NodeId, PeerProgress>()
  const nowMillis = () => uptimeMillisUnsafe(clock)

  const progress = (peer: NodeId): PeerProgress => {
    let known = progressOf.get(peer)
    if (known === undefined) {
      known = firstProgress(peer)
      progressOf.set(peer, known)
    }
    return known
  }

  /** Looks for events since the last round that only a comparison makes good. */
  const notice = (peer: NodeId, known: PeerProgress) => {
    const liveness = gossip.liveness(peer)
    const generation = gossip.members().find(({ record }) => record.nodeId === peer)?.record.generation ?? 0
    const hintsDropped = hints.status().find((status) => status.peer === peer)?.dropped ?? 0
    // A peer that started again compares of its own accord; one that was only out of reach does not know that it was.
    const isBack = known.liveness === "down" && liveness === "up" && generation === known.generation
    known.isNeeded ||= isBack || hintsDropped > known.hintsDropped || nowMillis() >= known.dueAtMillis
    Object.assign(known, { liveness, generation, hintsDropped })
  }

  const deliverHints = (peer: NodeId) =>
    hints.deliver(
      peer,
      (cells) =>
        Effect.forEach(CellBytes.batches(cells, delivery), (batch) => peers.writeAll(peer, batch), { discard: true })
    )

  const compare = Effect.fnUntraced(function*(peer: NodeId, known: PeerProgress) {
    const address = gossip.address(peer)
    if (address === undefined) return
    const change = (comparison: Partial<ComparisonStatus>) => {
      known.comparison = { ...known.comparison, ...comparison }
    }
    known.isNeeded = false
    change({ state: "running", failure: undefined })
    const beganAtMillis = nowMillis()
    // Under load a routine comparison always finds writes that are under way, which is no news.
    const report = beganAtMillis >= known.dueAtMillis ? Effect.logDebug : Effect.logInfo
    const isComplete = yield* Comparison.run({
      self,
      replica: Replica.make(client, ring, peer, address),
      storage,
      ring,
      digests: holdings.digests,
      receive: intake.takeIn,
      onProgress: change
    })
    if (recovery.isRecovering() && !known.isCompared && !isComplete) return yield* incomplete(peer)
    known.isCompared = true
    const restMillis = Math.max(Duration.toMillis(comparisonInterval), restFactor * (nowMillis() - beganAtMillis))
    // Drawn by chance, so that nodes that started together do not keep reading at the same time.
    known.dueAtMillis = beganAtMillis + restMillis * (yield* Random.nextBetween(0.75, 1.25))
    change({ state: "in-sync" })
    const { differing, received, sent } = known.comparison
    if (differing === 0) return
    yield* report(`in sync with ${peer}: ${differing} partitions differed, ${received} cells in, ${sent} out`)
  })

  const attend = (peer: NodeId) =>
    Effect.suspend(() => {
      const known = progress(peer)
      notice(peer, known)
      if (known.liveness !== "up" || nowMillis() <= known.retryAtMillis) return Effect.void
      const failed = (error: StorageError | PeerFailed) => {
        known.retryAtMillis = nowMillis() + retryAfterMillis
        return Effect.logDebug(`${peer}: ${error.message}`)
      }
      const delivered = hints.pending(peer) === 0 ? Effect.void : Effect.catch(deliverHints(peer), failed)
      const compared = Effect.suspend(() => known.isNeeded ? compare(peer, known) : Effect.void)
      const ended = (cause: Cause.Cause<StorageError | PeerFailed>) =>
        Effect.sync(() => {
          known.isNeeded = true
          known.comparison = { ...known.comparison, state: "failed", failure: Cause.prettyErrors(cause)[0]?.message }
        })
      return Effect.andThen(delivered, Effect.catch(Effect.onError(compared, ended), failed))
    })

  const settle = Effect.suspend(() => {
    const snapshot = ring.current()
    if (!recovery.isRecovering() || !partners.knowsOthers(snapshot, replicationFactor)) return Effect.void
    if (!partners.othersOf(snapshot, self).every((node) => progress(node).isCompared)) return Effect.void
    return Effect.andThen(recovery.settle, Effect.logInfo("compared with every replica: this node answers reads now"))
  })

  /** A peer whose comparison takes long holds up no other. */
  const attending = yield* FiberMap.make<NodeId>()
  const startAttending = (peer: NodeId) =>
    FiberMap.run(attending, peer, restarting(`reconciling with ${peer}`, attend(peer)), { onlyIfMissing: true })

  const round = Effect.suspend(() =>
    Effect.forEach(partners.othersOf(ring.current(), self), startAttending, { discard: true })
  ).pipe(
    Effect.andThen(settle),
    Effect.catch((error) => Effect.logWarning(`not settled yet: ${error.message}`))
  )
  yield* Effect.forkScoped(restarting("reconciler", Effect.forever(Effect.andThen(round, Effect.sleep(interval)))))

  return Reconciler.of({
    status: () => Array.from(progressOf.values(), ({ comparison }) => comparison),
    missedLocally: () => {
      for (const known of progressOf.values()) known.isNeeded = true
    }
  })
})

const incomplete = (peer: NodeId) =>
  new PeerFailed({
    peer,
    reason: "storage",
    detail: "it has lost cells to damage, and cannot say whether this node had acknowledged one of them"
  })
