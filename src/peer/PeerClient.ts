/**
 * The only way to reach a peer: the leaf that holds the outbound network. `layer` speaks HTTP; tests and the
 * simulator put their own network here.
 *
 * Every call fails with `PeerFailed` and never retries by itself. Callers bound it in time.
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
 * Does not count towards a quorum. `recovering`: stored, but by a node with a new data directory, which may have
 * forgotten something newer that it once acknowledged. `storage`: not stored, because the node cannot read the cell
 * that it holds of this key.
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
  /** The replica holds something of the key and cannot read it: no answer at all. */
  readonly isUnreadable?: boolean
}

/** The keys from `from`, included, to `to`, excluded. */
export interface KeyRange {
  readonly from: string
  readonly to: string
}

/** A node's cells, in brief. */
export interface Digests {
  /** One hash for each partition of everything the node can read in it; in the order of partitions. */
  readonly digests: ReadonlyArray<string>
  /** The node stored more once and cannot read it: it may have acknowledged cells that it lacks now. */
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
  /**
   * Asks the node at `address` whether it reaches the node at `target`: SWIM's indirect probe, or the direct one when the
   * two are the same node.
   */
  readonly probe: (address: string, target: string) => Effect.Effect<boolean, PeerFailed>
  readonly digests: (address: string) => Effect.Effect<Digests, PeerFailed>
  /**
   * Key and version of every cell that the peer holds in these partitions, in key order: of all that it can read, or,
   * when a range is named, of the keys in that range, if the peer can vouch for it. It cannot, and the stream fails,
   * while it is recovering or has lost cells of the range itself.
   */
  readonly versions: (
    address: string,
    partitions: ReadonlyArray<number>,
    vouchedFor?: KeyRange
  ) => Stream.Stream<{ readonly key: Key; readonly version: Version }, PeerFailed>
  /** The cells of these keys, as far as the peer has them and can read them. */
  readonly cells: (address: string, keys: ReadonlyArray<Key>) => Stream.Stream<Cell, PeerFailed>
}>()("rondo/peer/PeerClient") {}
