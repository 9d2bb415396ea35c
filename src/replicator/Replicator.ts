/**
 * A request to one replica, which may be this node: sends cells and reads to it, keeps hints for it while it is away,
 * and answers the same requests of peers.
 *
 * Invariants
 * - All movement of cells is a merge by version, so sending one twice, late or out of order is harmless.
 * - A node whose data directory is new or was salvaged answers no reads and counts for no write quorum until it has
 *   compared its partitions with every other replica: it may have lost what it once acknowledged.
 */
import { Context, Effect, Layer } from "effect"
import { LostRanges, type LostRangesStatus } from "../anti-entropy/LostRanges.ts"
import { type ComparisonStatus, Reconciler } from "../anti-entropy/Reconciler.ts"
import { Recovery } from "../anti-entropy/Recovery.ts"
import { LamportClock } from "../clock/LamportClock.ts"
import type { StorageError } from "../disk/StorageError.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import type { NodeId } from "../domain/NodeId.ts"
import { Gossip } from "../gossip/Gossip.ts"
import type { ReadAnswer, ReadRequest, WriteAnswer } from "../peer/PeerClient.ts"
import { PeerFailed } from "../peer/PeerError.ts"
import { Hints, type HintStatus } from "../replication/Hints.ts"
import { Intake } from "../replication/Intake.ts"
import { Peers } from "../replication/Peers.ts"
import { Storage } from "../storage/Storage.ts"

export interface ReplicatorStatus {
  /** See `Recovery`. */
  readonly recovering: boolean
  readonly hints: ReadonlyArray<HintStatus>
  readonly comparisons: ReadonlyArray<ComparisonStatus>
  readonly readRepairs: number
  readonly lostRanges: LostRangesStatus
}

export class Replicator extends Context.Service<Replicator, {
  /**
   * Sends one cell to a replica, which may be this node, in a batch with the others that wait for it. Another node that
   * fails gets a hint, however late it fails.
   */
  readonly write: (replica: NodeId, cell: Cell) => Effect.Effect<WriteAnswer, PeerFailed>
  /** As `write`, for a replica that a read found stale, and without a hint. */
  readonly repair: (replica: NodeId, cell: Cell) => Effect.Effect<WriteAnswer, PeerFailed>
  readonly read: (replica: NodeId, request: ReadRequest) => Effect.Effect<ReadAnswer, PeerFailed>
  /** Keeps the cell on disk for a replica that is away. Never fails and never waits: a full log drops the hint. */
  readonly hint: (replica: NodeId, cell: Cell) => void
  /** Takes in cells that a peer sent; fails with `refused` for a version absurdly far ahead of this node's clock. */
  readonly receive: (cells: ReadonlyArray<Cell>) => Effect.Effect<ReadonlyArray<WriteAnswer>, StorageError | PeerFailed>
  /** Answers a peer's reads; fails with `recovering` while this node may have lost what it once acknowledged. */
  readonly answer: (requests: ReadonlyArray<ReadRequest>) => Effect.Effect<ReadonlyArray<ReadAnswer>, PeerFailed>
  readonly status: Effect.Effect<ReplicatorStatus>
}>()("rondo/replicator/Replicator") {
  static readonly layer = Layer.effect(
    Replicator,
    Effect.gen(function*() {
      const clock = yield* LamportClock
      const { self } = yield* Gossip
      const hints = yield* Hints
      const intake = yield* Intake
      const lostRanges = yield* LostRanges
      const peers = yield* Peers
      const reconciler = yield* Reconciler
      const { isRecovering, refusal } = yield* Recovery
      const storage = yield* Storage
      let readRepairs = 0

      /** A node that may have forgotten a newer cell that it once took cannot say that this one is its newest. */
      const counted = <E>(answers: Effect.Effect<ReadonlyArray<WriteAnswer>, E>) =>
        isRecovering() ? Effect.map(answers, (all) => all.map(uncounted)) : answers

      const outcomeHere = {
        onSuccess: ([answer]: ReadonlyArray<WriteAnswer>) => answer!,
        onFailure: (error: StorageError) => {
          reconciler.missedLocally()
          return storageFailed(self, error)
        }
      }

      const writeHere = (cell: Cell): Effect.Effect<WriteAnswer, PeerFailed> =>
        Effect.mapBoth(counted(storage.apply([cell])), outcomeHere)

      const readHere = ({ full, key }: ReadRequest): Effect.Effect<ReadAnswer, PeerFailed> =>
        Effect.suspend(() => {
          if (isRecovering()) return Effect.fail(refusal())
          return Effect.mapError(
            full
              ? Effect.map(storage.get(key), (cell) => ({ version: cell?.version, cell }))
              : Effect.map(storage.version(key), (version) => ({ version, cell: undefined })),
            (error) => storageFailed(self, error)
          )
        })

      const readThere = (replica: NodeId, request: ReadRequest): Effect.Effect<ReadAnswer, PeerFailed> =>
        Effect.flatMap(peers.read(replica, request), (answer) => {
          if (answer.version !== undefined) clock.observe(answer.version.counter)
          return answer.isUnreadable === true ? Effect.fail(unreadableThere(replica)) : Effect.succeed(answer)
        })

      /** One key that cannot be read does not take the others of its batch along. */
      const answerOne = (request: ReadRequest) =>
        Effect.catchIf(readHere(request), (error) => error.reason === "storage", () => Effect.succeed(unreadableAnswer))

      return Replicator.of({
        write: (replica, cell) =>
          replica === self
            ? writeHere(cell)
            : Effect.tapError(peers.write(replica, cell), () => Effect.sync(() => hints.add(replica, cell))),
        repair: (replica, cell) =>
          Effect.suspend(() => {
            readRepairs++
            const writing = replica === self ? writeHere(cell) : peers.write(replica, cell)
            return Effect.flatMap(writing, (answer) =>
              answer._tag === "Uncounted" && answer.reason === "storage"
                ? Effect.fail(unreadableThere(replica))
                : Effect.succeed(answer))
          }),
        read: (replica, request) => replica === self ? readHere(request) : readThere(replica, request),
        hint: hints.add,
        receive: (cells) => Effect.suspend(() => counted(intake.takeIn(cells))),
        answer: (requests) => Effect.forEach(requests, answerOne),
        status: Effect.sync(() => ({
          recovering: isRecovering(),
          hints: hints.status(),
          comparisons: reconciler.status(),
          readRepairs,
          lostRanges: lostRanges.status()
        }))
      })
    })
  )
}

const uncounted = (answer: WriteAnswer): WriteAnswer =>
  answer._tag === "Accepted" ? { _tag: "Uncounted", reason: "recovering" } : answer
const unreadableAnswer: ReadAnswer = { version: undefined, cell: undefined, isUnreadable: true }

const unreadableThere = (peer: NodeId) =>
  new PeerFailed({ peer, reason: "storage", detail: "what it holds of this key cannot be read" })

const storageFailed = (peer: NodeId, error: StorageError) =>
  new PeerFailed({ peer, reason: "storage", detail: error.message })
