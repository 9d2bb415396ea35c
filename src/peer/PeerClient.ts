/**
 * The only way to reach a peer, and the leaf that holds the outbound network: `PeerClientHttp` in production, a network
 * in memory in tests and the simulator. A call fails with `PeerFailed` and does not retry. Callers set deadlines.
 */
import { Context, type Effect, type Stream } from "effect"
import type { Cell } from "../domain/cell/Cell.ts"
import type { Key } from "../domain/Key.ts"
import type { Version } from "../domain/Version.ts"
import type { PeerFailed } from "./PeerError.ts"
import type { GossipMessage, GossipReply } from "./PeerProtocol.ts"

/** A replica's answer to one cell. Same meaning as `Storage`'s `Applied`. */
export type WriteAnswer =
  | { readonly _tag: "Accepted"; readonly replaced: boolean }
  | { readonly _tag: "Superseded"; readonly newest: Version }
  | Uncounted

/**
 * Does not count towards a quorum. `recovering`: stored, but this node may have forgotten a newer cell that it once
 * acknowledged. `storage`: not stored, because the node cannot read the cell that it holds of this key.
 */
export interface Uncounted {
  readonly _tag: "Uncounted"
  readonly reason: "recovering" | "storage"
}

export interface ReadRequest {
  readonly key: Key
  /** `false` asks for the version alone. */
  readonly full: boolean
}

/** `undefined` version: the replica never had the key. `cell` is present when it was asked for and exists. */
export interface ReadAnswer {
  readonly version: Version | undefined
  readonly cell: Cell | undefined
  /** The replica has a cell of the key that it cannot read, so this does not count as an answer. */
  readonly isUnreadable?: boolean
}

/** The keys from `from` up to, but without, `to`. */
export interface KeyRange {
  readonly from: string
  readonly to: string
}

export interface Digests {
  /** A hash of all readable cells for each partition, in the order of partitions. */
  readonly digests: ReadonlyArray<string>
  /** The node has lost cells to damage, which it may have acknowledged. */
  readonly isDamaged: boolean
}

export class PeerClient extends Context.Service<PeerClient, {
  /** Answers in the order of the cells. */
  readonly write: (
    address: string,
    cells: ReadonlyArray<Cell>
  ) => Effect.Effect<ReadonlyArray<WriteAnswer>, PeerFailed>
  /** Answers in the order of the requests. */
  readonly read: (
    address: string,
    requests: ReadonlyArray<ReadRequest>
  ) => Effect.Effect<ReadonlyArray<ReadAnswer>, PeerFailed>
  readonly gossip: (address: string, message: GossipMessage) => Effect.Effect<GossipReply, PeerFailed>
  /** Whether the node at `address` reaches that at `target`: SWIM's indirect probe, direct if they are the same. */
  readonly probe: (address: string, target: string) => Effect.Effect<boolean, PeerFailed>
  readonly digests: (address: string) => Effect.Effect<Digests, PeerFailed>
  /**
   * Key and version of every cell that the peer can read in these partitions, in key order. With a range, only of its
   * keys, and the stream fails when the peer is recovering or has itself lost cells of the range.
   */
  readonly versions: (
    address: string,
    partitions: ReadonlyArray<number>,
    vouchedFor?: KeyRange
  ) => Stream.Stream<{ readonly key: Key; readonly version: Version }, PeerFailed>
  /** The cells of these keys that the peer can read. */
  readonly cells: (address: string, keys: ReadonlyArray<Key>) => Stream.Stream<Cell, PeerFailed>
}>()("rondo/peer/PeerClient") {}
