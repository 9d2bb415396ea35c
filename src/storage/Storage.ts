/**
 * This node's cells on disk: a log-structured store that merges by version. Knows nothing of other nodes.
 *
 * Invariants
 * - A cell that `apply` answered `Accepted` for survives `kill -9` (and power loss with `FSYNC=always`).
 * - Reads see only what would survive: a cell becomes visible when its log record is as durable as `FSYNC` asks.
 * - The stored version of a key never goes back.
 */
import { Context, type Effect, type Stream } from "effect"
import type { Cell } from "../domain/Cell.ts"
import type { Key } from "../domain/Key.ts"
import type { Version } from "../domain/Version.ts"
import type { StorageError } from "./StorageError.ts"

/** What became of one cell. */
export type Applied =
  /** It is now, or already was, the newest. `replaced`: a live value (not a tombstone) was there before it. */
  | { readonly _tag: "Accepted"; readonly replaced: boolean }
  /** The store holds something newer and did not change. */
  | { readonly _tag: "Superseded"; readonly newest: Version }

export interface ScanOptions {
  /** Start at this key (included). Default: the first. */
  readonly from?: Key
  readonly prefix?: string
}

export interface StorageStats {
  readonly memtableBytes: number
  readonly memtableCells: number
  readonly tables: number
  readonly tableBytes: number
  readonly logBytes: number
  readonly flushes: number
  readonly compactions: number
  readonly syncs: number
  /** Same version, different bytes: should stay 0 for ever. */
  readonly equalVersionConflicts: number
  /** Why writes are refused at the moment, or `undefined`. */
  readonly refusing: StorageError | undefined
}

export class Storage extends Context.Service<Storage, {
  /**
   * Merges cells into the store, in order, and answers for each in the same order, once what it accepted is as
   * durable as `FSYNC` asks. Concurrent calls share one append and one sync.
   */
  readonly apply: (cells: ReadonlyArray<Cell>) => Effect.Effect<ReadonlyArray<Applied>, StorageError>
  /** The newest cell of the key, tombstones included; `undefined` when the store never had one. */
  readonly get: (key: Key) => Effect.Effect<Cell | undefined, StorageError>
  /** The version alone, without reading the value where that saves work. */
  readonly version: (key: Key) => Effect.Effect<Version | undefined, StorageError>
  /** Cells in key order, newest of each key, tombstones included; consistent while writes, flushes and compaction go on. */
  readonly scan: (options?: ScanOptions) => Stream.Stream<Cell, StorageError>
  /** The highest counter of any stored cell: what the Lamport clock must stay above after a restart. */
  readonly counterMax: Effect.Effect<number>
  /** Writes the memtable to a table now. */
  readonly flush: Effect.Effect<void, StorageError>
  readonly stats: Effect.Effect<StorageStats>
}>()("rondo/storage/Storage") {}
