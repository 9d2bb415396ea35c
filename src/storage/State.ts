/**
 * What the engine's parts share: the memtables, the tables, and the files they are in.
 *
 * The writer alone puts cells in and turns the memtable over, the flusher and the compactor alone change the tables.
 * Every change is one synchronous step, so a reader that looks in one go always sees a whole store.
 */
import { Effect, Latch, Semaphore } from "effect"
import type { Fsync } from "../config/NodeConfig.ts"
import type { Disk } from "../disk/Disk.ts"
import type { StorageError } from "../disk/StorageError.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import type * as Levels from "./Levels.ts"
import * as lookUp from "./lookUp.ts"
import type { Hole } from "./manifest/Holes.ts"
import * as Manifest from "./manifest/Manifest.ts"
import * as Memtable from "./memtable/Memtable.ts"
import * as OpenViews from "./memtable/OpenViews.ts"
import type * as Table from "./sstable/Table.ts"

export interface Settings {
  readonly directory: string
  readonly fsync: Fsync
  readonly memtableBytesMax: number
  readonly blockBytes: number
  readonly bloomBitsPerKey: number
  /** Where compaction splits what it writes. */
  readonly tableBytes: number
  readonly levelBytes: number
  readonly level0Tables: number
  readonly tombstones: "keep" | "purge"
  /**
   * Whether \`apply\` tells if a value was replaced. Without it, a cell that is newer than all that tables hold is taken without
   * asking any: \`replaced\` is then \`false\` unless memory knows better.
   */
  readonly tellsReplaced: boolean
}

/** What the manifest says, of the tables that are open. */
export interface Contents {
  readonly levels: Levels.Levels
  readonly holes: ReadonlyArray<Hole>
  readonly logs: ReadonlyArray<number>
}

export interface State {
  readonly disk: Disk["Service"]
  readonly settings: Settings
  readonly context: Table.Context
  readonly views: OpenViews.OpenViews
  active: Memtable.Memtable
  /** Full, no longer written to, on its way into a table. */
  flushing: Memtable.Memtable | undefined
  levels: Levels.Levels
  holes: ReadonlyArray<Hole>
  /** The same for look-ups. */
  tables: lookUp.Tables
  /** The number of the last round whose cells became visible. */
  sequence: number
  /** The number of the next file, be it a log or a table. */
  nextFile: number
  counterMax: number
  flushes: number
  compactions: number
  bytesFlushed: number
  bytesCompacted: number
  syncs: number
  equalVersionConflicts: number
  /** Why the latest write to the log failed; `undefined` once one has succeeded. */
  logFailure: StorageError | undefined
  /** Why the latest flush failed; it is tried again. */
  flushFailure: StorageError | undefined
  /** Called with the outcome of the next attempt to flush. */
  flushWaiters: Array<(failure: StorageError | undefined) => void>
  /** Who asks that everything be compacted, and whom the compaction under way is for. Called with its outcome. */
  compactionRequests: Array<(failure: StorageError | undefined) => void>
  compactionWaiters: Array<(failure: StorageError | undefined) => void>
  readonly flushWanted: Latch.Latch
  readonly compactionWanted: Latch.Latch
  /** One change of the manifest at a time. */
  readonly manifestLock: Semaphore.Semaphore
}

export const make = (
  settings: Settings,
  context: Table.Context,
  compactionWanted: Latch.Latch,
  recovered: Pick<State, "active" | "levels" | "holes" | "nextFile" | "counterMax">
): State => ({
  disk: context.disk,
  settings,
  context,
  views: OpenViews.make(),
  ...recovered,
  tables: lookUp.tablesOf(recovered.levels, recovered.holes),
  sequence: 0,
  flushing: undefined,
  flushes: 0,
  compactions: 0,
  bytesFlushed: 0,
  bytesCompacted: 0,
  syncs: 0,
  equalVersionConflicts: 0,
  logFailure: undefined,
  flushFailure: undefined,
  flushWaiters: [],
  compactionRequests: [],
  compactionWaiters: [],
  flushWanted: Latch.makeUnsafe(false),
  compactionWanted,
  manifestLock: Semaphore.makeUnsafe(1)
})

/** The cell in memory. What a memtable holds is newer than any table's. */
export const inMemory = (state: State, key: string): Cell | undefined =>
  Memtable.get(state.active, key) ?? (state.flushing === undefined ? undefined : Memtable.get(state.flushing, key))

/**
 * Writes the manifest for changed contents and, only when that is durable, makes the change visible. When it fails,
 * nobody knows which manifest the disk holds: try again, and remove no file that either of them names.
 */
export const install = (
  state: State,
  change: (now: Contents) => Contents,
  visible: () => void
): Effect.Effect<void, StorageError> =>
  state.manifestLock.withPermit(Effect.suspend(() => {
    const { holes, levels, logs } = change({ levels: state.levels, holes: state.holes, logs: logsOf(state) })
    const tables = levels.flatMap((tables, level) => tables.map((table) => ({ ...table, level })))
    const manifest = { tables, logs, holes, counterMax: state.counterMax }
    return Effect.map(Manifest.write(state.disk, state.settings.directory, manifest), () => {
      state.levels = levels
      state.holes = holes
      state.tables = lookUp.tablesOf(levels, holes)
      visible()
    })
  }))

const logsOf = ({ active, flushing }: State): ReadonlyArray<number> => [...flushing?.logs ?? [], ...active.logs]

export const logPath = (directory: string, log: number): string =>
  `${directory}/wal-${String(log).padStart(6, "0")}.log`
