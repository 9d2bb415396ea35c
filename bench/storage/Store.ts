/** A store under measurement: Rondo's engine or LevelDB, behind one face. A failure of either ends the benchmark. */
import type { Effect, Scope } from "effect"
import type { Load } from "./Load.ts"

export type Name = "rondo" | "leveldb"

export interface Store {
  readonly name: Name
  readonly directory: string
  /** Runs the load to its end. */
  readonly drive: (load: Load) => Effect.Effect<void>
  /** Rewrites everything into the last level. */
  readonly compact: Effect.Effect<void>
  /** Bytes given to the file system since the store was opened; `undefined` when the system does not count them. */
  readonly writtenBytes: () => number | undefined
  /** What one cell takes in this store's own terms: Rondo's line of JSON, LevelDB's key and value. */
  readonly cellBytes: () => number
  /** Blocks read from files since it was opened; `undefined` when it does not tell. */
  readonly blockReads: () => number | undefined
}

export interface OpenOptions {
  readonly directory: string
  readonly valueBytes: number
  readonly seed: number
  /** Each write is on the disk when it is answered. */
  readonly synced: boolean
  readonly memtableBytes: number
  readonly cacheBytes: number
}

export interface Kind {
  readonly name: Name
  readonly open: (options: OpenOptions) => Effect.Effect<Store, never, Scope.Scope>
}
