/**
 * The log-structured engine: puts recovery, the writer, the flusher and the compactor together.
 *
 * Source: O'Neil et al., "The Log-Structured Merge-Tree (LSM-Tree)" (1996), in the shape that LevelDB gave it.
 */
import { Effect } from "effect"
import { boundedReads } from "../disk/boundedReads.ts"
import type { Disk } from "../disk/Disk.ts"
import type { Corruption, StorageError } from "../disk/StorageError.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import * as cellLines from "../domain/cell/cellLines.ts"
import type { Key } from "../domain/Key.ts"
import type { Version } from "../domain/Version.ts"
import * as Metrics from "../observability/Metrics.ts"
import { restarting } from "../observability/restarting.ts"
import * as Compactor from "./compaction/Compactor.ts"
import { Compactions } from "./Compactions.ts"
import type * as Feed from "./Feed.ts"
import * as Flusher from "./Flusher.ts"
import * as Scrubber from "./integrity/Scrubber.ts"
import { verify } from "./integrity/verify.ts"
import * as Levels from "./Levels.ts"
import * as lookUp from "./lookUp.ts"
import * as Holes from "./manifest/Holes.ts"
import type { Hole } from "./manifest/Holes.ts"
import { recover } from "./recover.ts"
import * as View from "./scan/View.ts"
import * as Snapshot from "./snapshot/Snapshot.ts"
import * as BlockCache from "./sstable/BlockCache.ts"
import * as Table from "./sstable/Table.ts"
import * as TableWriter from "./sstable/TableWriter.ts"
import * as State from "./State.ts"
import * as Writer from "./Writer.ts"

/** `defaults` says what holds for the settings that are left out. */
export interface Options extends Partial<Omit<State.Settings, "directory" | "fsync" | "memtableBytesMax">> {
  readonly directory: string
  readonly fsync: State.Settings["fsync"]
  readonly memtableBytesMax: number
  readonly blockCacheBytesMax: number
  /** Go on without what a damaged or missing log held, instead of refusing to open. */
  readonly salvage?: boolean
  /** How many tables' files are open at once; others are opened when they are read. */
  readonly openFilesMax?: number
  /** How fast a scrub reads the store in the background; 0, the default, for not at all. */
  readonly scrubBytesPerSecond?: number
}

/** A process may often have a thousand, and connections need some. A store of 20 GB has about as many tables. */
const openFilesMaxDefault = 256

const mebibyte = 1024 * 1024

/** Why these: docs/decisions/0008-leveled-compaction.md. */
export const defaults = {
  ...TableWriter.defaults,
  tableBytes: 16 * mebibyte,
  levelBytes: 256 * mebibyte,
  level0Tables: 6,
  fullShare: Effect.succeed(1),
  tombstones: "keep",
  tellsReplaced: true
} as const

export interface StorageStats {
  readonly memtableBytes: number
  readonly memtableCells: number
  readonly tables: number
  readonly tableBytes: number
  /** Tables and bytes of each level, from level 0 on. */
  readonly levels: ReadonlyArray<{ readonly tables: number; readonly bytes: number }>
  readonly logBytes: number
  readonly cacheBytes: number
  readonly flushes: number
  readonly compactions: number
  /** Written to tables since the start. */
  readonly bytesFlushed: number
  readonly bytesCompacted: number
  readonly syncs: number
  /** Same version, different bytes: should stay 0 for ever. */
  readonly equalVersionConflicts: number
  /** Why writes are refused, or tables cannot be read, at the moment; `undefined` while all is well. */
  readonly refusing: StorageError | undefined
  /** Damage that a read met since the start, of a table that has some. */
  readonly damage: Corruption | undefined
  /** Ranges of keys of which cells are lost until other replicas have given them back. */
  readonly holes: ReadonlyArray<Hole>
  readonly scrub: Scrubber.ScrubStats
}

/** Opens the store in a directory that exists, for as long as the scope is open. It reports durations to `metrics`. */
export const open = Effect.fnUntraced(function*(
  disk: Disk["Service"],
  options: Options,
  metrics: Metrics.Metrics["Service"] = Metrics.make()
) {
  const {
    blockCacheBytesMax,
    openFilesMax = openFilesMaxDefault,
    salvage = false,
    scrubBytesPerSecond = 0,
    ...settings
  } = { ...defaults, ...options }
  const compactions = new Compactions()
  const context: Table.Context = {
    disk: boundedReads(disk, openFilesMax),
    directory: settings.directory,
    cache: BlockCache.make(blockCacheBytesMax),
    onDamage: () => compactions.wake()
  }
  const recovered = yield* recover({ context, salvage })
  const state = State.make(settings, context, compactions, recovered, metrics)
  const writer = Writer.make(state)
  const scrubber = Scrubber.make(state, scrubBytesPerSecond)
  // Closed after the fibers below have ended, because finalizers run in reverse order.
  yield* Effect.addFinalizer(() => Effect.andThen(writer.close, closeTables(state)))
  const scope = yield* Effect.scope
  const tick = Effect.forever(
    Effect.andThen(Effect.sleep("1 second"), Effect.andThen(Effect.sync(context.cache.age), writer.tick))
  )
  // A bad sector may take the device many seconds, and the writer's tick must not wait for it.
  const retry = Effect.forever(Effect.andThen(Effect.sleep("1 second"), retryUnreadable(state)))
  yield* Effect.forkScoped(restarting("the flusher", Flusher.run(state)))
  yield* Effect.forkScoped(restarting("the compactor", Compactor.run(state, scope)))
  yield* Effect.forkScoped(restarting("the writer", writer.run))
  yield* Effect.forkScoped(restarting("the tick of writer and cache", tick))
  yield* Effect.forkScoped(restarting("the retry of what cannot be read", retry))
  if (scrubBytesPerSecond > 0) yield* Effect.forkScoped(restarting("the scrub", scrubber.run))
  return {
    apply: writer.apply,
    get: (key: Key) => Effect.suspend(() => get(state, key)),
    version: (key: Key) => Effect.suspend(() => version(state, key)),
    scan: (scanOptions?: Parameters<typeof View.scan>[1]) => View.scan(state, scanOptions),
    view: View.open(state),
    changes: (limits?: Partial<Feed.Limits>) => state.memtables.feed.subscribe(limits),
    counterMax: Effect.sync(() => state.memtables.counterMax),
    flush: writer.flush,
    compact: Effect.andThen(writer.flush, compactions.request),
    snapshot: Snapshot.make(state, writer.flush),
    verify: verify(state),
    stats: Effect.sync(() => ({
      ...stats(state),
      refusing: writer.refusing() ?? failingOf(state),
      scrub: scrubber.stats()
    })),
    closeHoles: (holes: ReadonlyArray<Hole>) => Effect.andThen(writer.flush, closeHoles(state, holes)),
    salvaged: recovered.salvaged
  }
})

const get = (state: State.State, key: Key): Effect.Effect<Cell | undefined, StorageError> => {
  const cell = state.memtables.find(key)
  if (cell !== undefined) return Effect.succeed(cell)
  const found = lookUp.findNow(state.tables.lookUp, key)
  if (found === undefined) return Effect.undefined
  return found === lookUp.mustRead
    ? Effect.map(
      lookUp.find(() => state.tables.lookUp, key),
      (line) => line === undefined ? undefined : cellLines.cellUnsafe(line)
    )
    : Effect.succeed(cellLines.cellUnsafe(found))
}

const version = (state: State.State, key: Key): Effect.Effect<Version | undefined, StorageError> => {
  const cell = state.memtables.find(key)
  if (cell !== undefined) return Effect.succeed(cell.version)
  const found = lookUp.findNow(state.tables.lookUp, key)
  if (found === undefined) return Effect.undefined
  return found === lookUp.mustRead
    ? Effect.map(
      lookUp.find(() => state.tables.lookUp, key),
      (line) => line === undefined ? undefined : cellLines.versionUnsafe(line)
    )
    : Effect.succeed(cellLines.versionUnsafe(found))
}

/** Holes are known by what is in them: the manifest may have been read again since they were seen. */
const closeHoles = (state: State.State, closed: ReadonlyArray<Hole>) => {
  const isClosed = (hole: Hole) => closed.some((other) => Holes.isSame(hole, other))
  return state.tables.install(
    (now) => now.holes.some(isClosed) ? { ...now, holes: now.holes.filter((hole) => !isClosed(hole)) } : now,
    () => {}
  )
}

/** A view that is still open keeps its tables open until it is closed. */
const closeTables = (state: State.State) =>
  Effect.sync(() => {
    for (const table of Levels.all(state.tables.levels)) table.retire(() => Effect.runFork(table.close))
  })

const retryUnreadable = Effect.fnUntraced(function*({ tables }: State.State) {
  for (const table of Levels.all(tables.levels)) {
    const retry = table.retryUnreadable()
    if (retry !== undefined) yield* Table.held(table, retry)
  }
})

/** A sector that cannot be read is damage; a disk that cannot read is none, and nobody else says so. */
const failingOf = ({ tables }: State.State): StorageError | undefined => {
  for (const table of Levels.all(tables.levels)) {
    const failure = table.failing()
    if (failure !== undefined) return failure
  }
  return undefined
}

const stats = ({ context, figures, memtables, tables }: State.State): Omit<StorageStats, "refusing" | "scrub"> => {
  const all = Levels.all(tables.levels)
  return {
    memtableBytes: memtables.sizeBytes,
    memtableCells: memtables.cells,
    tables: all.length,
    tableBytes: Levels.bytesOf(all),
    levels: tables.levels.map((level) => ({ tables: level.length, bytes: Levels.bytesOf(level) })),
    logBytes: memtables.logBytes,
    cacheBytes: context.cache.sizeBytes(),
    ...figures.now,
    damage: all.flatMap(({ damaged }) => Array.from(damaged.values()))[0],
    holes: tables.holes
  }
}
