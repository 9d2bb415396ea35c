/**
 * Copies on other replicas: sends cells to them in batches, keeps hints for those that are away, takes their cells
 * in, and brings itself level with them after an absence.
 */
import { Context, type Effect, type Stream } from "effect"
import type { Cell } from "../domain/Cell.ts"
import type { Key } from "../domain/Key.ts"
import type { NodeId } from "../domain/NodeId.ts"
import type { Version } from "../domain/Version.ts"
import type { ReadAnswer, ReadRequest, WriteAnswer } from "../peer/PeerClient.ts"
import type { PeerFailed } from "../peer/PeerError.ts"
import type { StorageError } from "../storage/StorageError.ts"

/** Cells that wait on this node's disk for one peer. */
export interface HintStatus {
  readonly peer: NodeId
  readonly pending: number
  readonly pendingBytes: number
  /** Since this start: hints that were too many or too old and left to partition comparison. */
  readonly dropped: number
  readonly delivered: number
}

/** The latest comparison of this node's partitions with one peer's. */
export interface ComparisonStatus {
  readonly peer: NodeId
  readonly state: "waiting" | "running" | "level" | "failed"
  /** Partitions whose contents differed when it began. */
  readonly differing: number
  readonly received: number
  readonly sent: number
  /** Why it failed; it is tried again. */
  readonly failure: string | undefined
}

export interface ReplicatorStatus {
  /** The data directory is new, so this node does not answer reads until it has compared with every replica. */
  readonly recovering: boolean
  readonly hints: ReadonlyArray<HintStatus>
  readonly comparisons: ReadonlyArray<ComparisonStatus>
  readonly readRepairs: number
}

export class Replicator extends Context.Service<Replicator, {
  /** Sends one cell to a replica, which may be this node, together with whatever else waits for it. */
  readonly write: (replica: NodeId, cell: Cell) => Effect.Effect<WriteAnswer, PeerFailed>
  readonly read: (replica: NodeId, request: ReadRequest) => Effect.Effect<ReadAnswer, PeerFailed>
  /** Keeps the cell on disk for a replica that is away. Never fails and never waits: a full log drops the hint. */
  readonly hint: (replica: NodeId, cell: Cell) => void
  /** Takes in cells that a peer sent. */
  readonly receive: (cells: ReadonlyArray<Cell>) => Effect.Effect<ReadonlyArray<WriteAnswer>, StorageError>
  /** Answers a peer's reads; fails with `recovering` while this node may have lost what it once acknowledged. */
  readonly answer: (requests: ReadonlyArray<ReadRequest>) => Effect.Effect<ReadonlyArray<ReadAnswer>, PeerFailed>
  readonly digests: Effect.Effect<ReadonlyArray<string>, StorageError>
  readonly versions: (
    partitions: ReadonlyArray<number>
  ) => Stream.Stream<{ readonly key: Key; readonly version: Version }, StorageError>
  readonly cells: (keys: ReadonlyArray<Key>) => Stream.Stream<Cell, StorageError>
  readonly status: Effect.Effect<ReplicatorStatus>
}>()("rondo/replicator/Replicator") {}
