/** A store under test: Rondo's engine or LevelDB, behind one interface. A failure of either ends the benchmark. */
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
  /** Bytes written to the file system since the store was opened; `undefined` if the system does not count them. */
  readonly writtenBytes: () => number | undefined
  /** The size of one cell in this store's terms: Rondo's line of JSON, LevelDB's key and value. */
  readonly cellBytes: () => number
  /** Blocks read from files since the store was opened; `undefined` if it does not count them. */
  readonly blockReads: () => number | undefined
}

export interface OpenOptions {
  readonly directory: string
  readonly valueBytes: number
  readonly seed: number
  /** Each write is synced before it is answered. */
  readonly synced: boolean
  readonly memtableBytes: number
  readonly cacheBytes: number
}

export interface Kind {
  readonly name: Name
  readonly open: (options: OpenOptions) => Effect.Effect<Store, never, Scope.Scope>
}
