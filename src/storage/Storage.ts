/**
 * This node's cells on disk: a log-structured store that merges by version. Knows nothing of other nodes.
 *
 * Invariants
 * - A cell that `apply` answered `Accepted` for survives `kill -9` (and power loss with `FSYNC=always`).
 * - Reads see only what would survive: a cell becomes visible when its log record is as durable as `FSYNC` asks.
 * - The stored version of a key never goes back.
 */
import { Context, Effect, Layer, Random, type Scope, type Stream } from "effect"
import { NodeConfig } from "../config/NodeConfig.ts"
import { Disk } from "../disk/Disk.ts"
import * as DiskMemory from "../disk/DiskMemory.ts"
import { Identity } from "../disk/Identity.ts"
import type { StorageError } from "../disk/StorageError.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import type { Key } from "../domain/Key.ts"
import type { Version } from "../domain/Version.ts"
import { Metrics } from "../observability/Metrics.ts"
import type { Applied } from "./Applied.ts"
import * as Engine from "./Engine.ts"
import type { StorageStats } from "./Engine.ts"
import type { Changes, Limits } from "./Feed.ts"
import type { VerifyReport } from "./integrity/verify.ts"
import type { Hole } from "./manifest/Holes.ts"
import type { ScanOptions } from "./scan/Cursor.ts"
import type { View } from "./scan/View.ts"
import type { Take } from "./snapshot/Snapshot.ts"

export type { Applied } from "./Applied.ts"
export type { StorageStats } from "./Engine.ts"
export type { VerifyReport } from "./integrity/verify.ts"
export type { Cursor, ScanOptions } from "./scan/Cursor.ts"
export type { View } from "./scan/View.ts"
export { SnapshotDirectoryTaken, type SnapshotReport } from "./snapshot/Snapshot.ts"

export class Storage extends Context.Service<Storage, {
  /**
   * Merges cells into the store, in order, and answers for each in the same order, once what it accepted is as
   * durable as `FSYNC` asks. Concurrent calls share one append and one sync. All cells of a call become visible, and
   * survive a crash, together. With `fills`, what these holes hide counts as absent: only for cells that were the
   * newest on all other replicas when these holes, and no others, were known.
   */
  readonly apply: (
    cells: ReadonlyArray<Cell>,
    options?: { readonly fills: ReadonlyArray<Hole> }
  ) => Effect.Effect<ReadonlyArray<Applied>, StorageError>
  /** The newest cell of the key, tombstones included; `undefined` when the store never had one. */
  readonly get: (key: Key) => Effect.Effect<Cell | undefined, StorageError>
  /** The version alone, without reading the value where that saves work. */
  readonly version: (key: Key) => Effect.Effect<Version | undefined, StorageError>
  /** Cells in key order, newest of each key; consistent while writes, flushes and compaction go on. */
  readonly scan: (options?: ScanOptions) => Stream.Stream<Cell, StorageError>
  /** The highest counter of any stored cell: what the Lamport clock must stay above after a restart. */
  readonly counterMax: Effect.Effect<number>
  /** The store as it is now, for as long as the scope is open. */
  readonly view: Effect.Effect<View, never, Scope.Scope>
  /** All changes from now on, until the scope closes. `Feed.ts` says how to follow the store by them. */
  readonly changes: (limits?: Partial<Limits>) => Effect.Effect<Changes, never, Scope.Scope>
  /** Writes the memtable to a table now. */
  readonly flush: Effect.Effect<void, StorageError>
  /** Writes everything into the last level: obsolete cells go. Takes as long as copying the store. */
  readonly compact: Effect.Effect<void, StorageError>
  /**
   * Writes a durable copy of the store as it is now into a directory that is new or empty. It takes no space until
   * compaction has rewritten the tables, where the file system has hard links.
   */
  readonly snapshot: Take
  /** Reads every block of every table past the cache. Takes as long as reading the store. */
  readonly verify: Effect.Effect<VerifyReport>
  /**
   * Forgets, durably, that these ranges of keys have lost cells: because what other replicas hold of them has been
   * applied (see `anti-entropy/LostRanges.ts`), or to give up what nobody has any more. Others stay.
   */
  readonly closeHoles: (holes: ReadonlyArray<Hole>) => Effect.Effect<void, StorageError>
  readonly stats: Effect.Effect<StorageStats>
  /** Whether opening it gave up what a log had held, as `SALVAGE` allows. */
  readonly salvaged: boolean
}>()("rondo/storage/Storage") {
  /**
   * Opens the store in the data directory. `Identity` is needed for its lock: it comes first.
   *
   * To salvage a log is to lose what this node may have acknowledged, so the node counts as fresh from then on. That is
   * written down before the log is touched: a crash in between would leave a log without a flaw and a node that
   * seems to be in sync. When there was nothing to salvage, it is taken back.
   */
  static readonly layer: Layer.Layer<Storage, StorageError, Disk | Identity | Metrics | NodeConfig> = Layer.effect(
    Storage,
    Effect.gen(function*() {
      const disk = yield* Disk
      const config = yield* NodeConfig
      const identity = yield* Identity
      const { salvage } = config
      if (salvage && !identity.fresh) yield* identity.markUnsettled
      const engine = yield* Engine.open(disk, {
        salvage,
        directory: config.dataDirectory,
        fsync: config.fsync,
        memtableBytesMax: config.memtableBytesMax,
        // Replicas take the same writes, and would all flush and compact at the same time.
        fullShare: Random.nextBetween(0.9, 1),
        blockCacheBytesMax: config.blockCacheBytesMax,
        scrubBytesPerSecond: config.scrubBytesPerSecond
      }, yield* Metrics)
      if (salvage && !identity.fresh && !engine.salvaged) yield* identity.markSettled
      return engine
    })
  )

  /** The real engine over files in memory. */
  static readonly layerMemory: Layer.Layer<Storage, StorageError, NodeConfig> = Storage.layer.pipe(
    Layer.provide(Layer.unwrap(Effect.map(NodeConfig, ({ nodeId }) => Identity.layerFixed({ nodeId })))),
    Layer.provide([DiskMemory.layer, Metrics.layer])
  )
}
