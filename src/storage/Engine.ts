/**
 * The log-structured engine: puts recovery, the writer, the flusher and the compactor together.
 *
 * Source: O'Neil et al., "The Log-Structured Merge-Tree (LSM-Tree)" (1996), in the shape that LevelDB gave it.
 */
import { Effect } from "effect"
import type { Cell } from "../domain/Cell.ts"
import type { Key } from "../domain/Key.ts"
import type { Version } from "../domain/Version.ts"
import { restarting } from "../observability/restarting.ts"
import * as Compactor from "./compaction/Compactor.ts"
import type { Disk } from "./Disk.ts"
import * as Flusher from "./Flusher.ts"
import { recover } from "./recover.ts"
import { scan } from "./scan.ts"
import * as BlockCache from "./sstable/BlockCache.ts"
import * as cellLines from "./sstable/cellLines.ts"
import * as lookUp from "./sstable/lookUp.ts"
import * as State from "./State.ts"
import type { Corruption, StorageError } from "./StorageError.ts"
import * as Writer from "./Writer.ts"

export interface Options extends State.Settings {
  readonly blockCacheBytesMax: number
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
  /** Damage that a read met since the start, of the newest table that has some. */
  readonly damage: Corruption | undefined
}

/** Opens the store in a directory that exists, for as long as the scope is open. */
export const open = Effect.fnUntraced(function*(disk: Disk["Service"], options: Options) {
  const cache = BlockCache.make(options.blockCacheBytesMax)
  const state = State.make(disk, options, cache, yield* recover(disk, options.directory, cache))
  const writer = Writer.make(state)
  // Closed after the fibers below have ended, because finalizers run in reverse order.
  yield* Effect.addFinalizer(() => Effect.andThen(writer.close, closeTables(state)))
  const scope = yield* Effect.scope
  const tick = Effect.forever(Effect.andThen(Effect.sleep("1 second"), writer.tick))
  yield* Effect.forkScoped(restarting("the flusher", Flusher.run(state)))
  yield* Effect.forkScoped(restarting("the compactor", Compactor.run(state, scope)))
  yield* Effect.forkScoped(restarting("the writer", writer.run))
  yield* Effect.forkScoped(restarting("the writer's tick", tick))
  return {
    apply: writer.apply,
    get: (key: Key) => Effect.suspend(() => get(state, key)),
    version: (key: Key) => Effect.suspend(() => version(state, key)),
    scan: (scanOptions?: Parameters<typeof scan>[1]) => scan(state, scanOptions),
    counterMax: Effect.sync(() => state.counterMax),
    flush: writer.flush,
    stats: Effect.sync(() => stats(state))
  }
})

const get = (state: State.State, key: Key): Effect.Effect<Cell | undefined, StorageError> => {
  const cell = State.inMemory(state, key)
  if (cell !== undefined) return Effect.succeed(cell)
  const found = lookUp.findCached(state.tables, key)
  if (found === undefined) return Effect.undefined
  return found === lookUp.mustRead
    ? Effect.map(
      lookUp.find(() => state.tables, key),
      (line) => line === undefined ? undefined : cellLines.cellUnsafe(line)
    )
    : Effect.succeed(cellLines.cellUnsafe(found))
}

const version = (state: State.State, key: Key): Effect.Effect<Version | undefined, StorageError> => {
  const cell = State.inMemory(state, key)
  if (cell !== undefined) return Effect.succeed(cell.version)
  const known = state.versions.get(key)
  if (known !== undefined) return Effect.succeed(known.version)
  const found = lookUp.findCached(state.tables, key)
  if (found === undefined) return Effect.undefined
  return found === lookUp.mustRead
    ? Effect.map(
      lookUp.find(() => state.tables, key),
      (line) => line === undefined ? undefined : cellLines.versionUnsafe(line)
    )
    : Effect.succeed(cellLines.versionUnsafe(found))
}

/** A scan that still runs keeps its tables open until it ends. */
const closeTables = (state: State.State) =>
  Effect.sync(() => {
    for (const table of state.tables) table.retire(() => Effect.runFork(table.close))
  })

const stats = (state: State.State): StorageStats => ({
  memtableBytes: state.active.sizeBytes + (state.flushing?.sizeBytes ?? 0),
  memtableCells: state.active.entries.size + (state.flushing?.entries.size ?? 0),
  tables: state.tables.length,
  tableBytes: state.tables.reduce((sum, { index }) => sum + index.properties.sizeBytes, 0),
  logBytes: state.active.logBytes + (state.flushing?.logBytes ?? 0),
  flushes: state.flushes,
  compactions: state.compactions,
  syncs: state.syncs,
  equalVersionConflicts: state.equalVersionConflicts,
  refusing: state.logFailure ?? (isBlocked(state) ? state.flushFailure : undefined),
  damage: state.tables.map((table) => table.damage()).find((damage) => damage !== undefined)
})

/** Memory is full of cells that cannot go to a table. */
const isBlocked = ({ active, settings }: State.State) => active.sizeBytes >= 2 * settings.memtableBytesMax
