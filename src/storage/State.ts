/**
 * What the engine's parts share: the memtables, the tables, and the files they are in.
 *
 * The writer alone puts cells in and turns the memtable over, the flusher and the compactor alone change the tables.
 * Every change is one synchronous step, so a reader that looks in one go always sees a whole store.
 */
import { Effect, Latch, Semaphore } from "effect"
import type { Fsync } from "../config/NodeConfig.ts"
import type { Cell } from "../domain/Cell.ts"
import type { Disk } from "./Disk.ts"
import * as Manifest from "./manifest/Manifest.ts"
import * as Memtable from "./memtable/Memtable.ts"
import type { BlockCache } from "./sstable/BlockCache.ts"
import type { Table } from "./sstable/Table.ts"
import type { StorageError } from "./StorageError.ts"
import * as VersionCache from "./VersionCache.ts"

export interface Settings {
  readonly directory: string
  readonly fsync: Fsync
  readonly memtableBytesMax: number
}

export interface State {
  readonly disk: Disk["Service"]
  readonly settings: Settings
  readonly cache: BlockCache
  readonly versions: VersionCache.VersionCache
  active: Memtable.Memtable
  /** Full, no longer written to, on its way into a table. */
  flushing: Memtable.Memtable | undefined
  /** In the order of `lookUp.byCounter`. Replaced as a whole, never changed: whoever holds it keeps a consistent set. */
  tables: ReadonlyArray<Table>
  /** The number of the next file, be it a log or a table. */
  nextFile: number
  counterMax: number
  flushes: number
  compactions: number
  syncs: number
  equalVersionConflicts: number
  /** Why the latest write to the log failed; `undefined` once one has succeeded. */
  logFailure: StorageError | undefined
  /** Why the latest flush failed; it is tried again. */
  flushFailure: StorageError | undefined
  /** Called with the outcome of the next attempt to flush. */
  flushWaiters: Array<(failure: StorageError | undefined) => void>
  readonly flushWanted: Latch.Latch
  readonly compactionWanted: Latch.Latch
  /** One change of the manifest at a time. */
  readonly manifestLock: Semaphore.Semaphore
}

export const make = (
  disk: Disk["Service"],
  settings: Settings,
  cache: BlockCache,
  recovered: Pick<State, "active" | "tables" | "nextFile" | "counterMax">
): State => ({
  disk,
  settings,
  cache,
  versions: VersionCache.make(),
  ...recovered,
  flushing: undefined,
  flushes: 0,
  compactions: 0,
  syncs: 0,
  equalVersionConflicts: 0,
  logFailure: undefined,
  flushFailure: undefined,
  flushWaiters: [],
  flushWanted: Latch.makeUnsafe(false),
  compactionWanted: Latch.makeUnsafe(true),
  manifestLock: Semaphore.makeUnsafe(1)
})

/** The cell in memory. What a memtable holds is newer than any table's. */
export const inMemory = (state: State, key: string): Cell | undefined =>
  Memtable.get(state.active, key) ?? (state.flushing === undefined ? undefined : Memtable.get(state.flushing, key))

/**
 * Writes the manifest for a changed set of tables and, only when that is durable, makes the change visible. When it
 * fails, nobody knows which manifest the disk holds: try again, and remove no file that either of them names.
 */
export const install = (
  state: State,
  change: (tables: ReadonlyArray<Table>) => ReadonlyArray<Table>,
  firstLog: () => number,
  visible: (tables: ReadonlyArray<Table>) => void
): Effect.Effect<void, StorageError> =>
  state.manifestLock.withPermit(Effect.suspend(() => {
    const tables = change(state.tables)
    const manifest = { format: 1 as const, tables: tables.map((table) => table.id), firstLog: firstLog() }
    return Effect.map(Manifest.write(state.disk, state.settings.directory, manifest), () => visible(tables))
  }))
