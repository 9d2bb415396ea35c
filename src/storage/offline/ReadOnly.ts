/**
 * A store's directory as it lies there, without a node: read and never changed. No log is cut, no file is removed or
 * moved aside, and what is damaged is reported beside what can still be read.
 *
 * The caller sees to it that nobody writes there meanwhile.
 */
import { Effect, Schema } from "effect"
import { boundedReads } from "../../disk/boundedReads.ts"
import type { Disk } from "../../disk/Disk.ts"
import { Corruption, UnknownFormat } from "../../disk/StorageError.ts"
import * as Levels from "../Levels.ts"
import * as load from "../load.ts"
import type * as Holes from "../manifest/Holes.ts"
import * as Manifest from "../manifest/Manifest.ts"
import * as Memtable from "../memtable/Memtable.ts"
import * as SortedRuns from "../memtable/SortedRuns.ts"
import { MemtableSource, TableSource } from "../scan/CellSource.ts"
import * as Cursor from "../scan/Cursor.ts"
import * as BlockCache from "../sstable/BlockCache.ts"
import * as frame from "../wal/frame.ts"
import * as RecordLog from "../wal/RecordLog.ts"

/** There is nothing of a store in the directory. */
export class NoStore extends Schema.TaggedError<NoStore>()("NoStore", { path: Schema.String }) {
  override get message() {
    return `${this.path} is neither a data directory nor a snapshot: it has no MANIFEST`
  }
}

export interface StoredLog {
  readonly path: string
  readonly bytes: number
  readonly cells: number
  /** Bytes behind the last whole record, which a start cuts. */
  readonly tornBytes: number
  /** Why a part of it cannot be read. */
  readonly problem: string | undefined
}

export interface ReadOnly {
  readonly directory: string
  /** Those that can be opened. */
  readonly levels: Levels.Levels
  /** The holes of the manifest, then one for each table that cannot be opened. */
  readonly holes: ReadonlyArray<Holes.Hole>
  /** How many of them are the manifest's. */
  readonly holesKnown: number
  readonly logs: ReadonlyArray<StoredLog>
  /** The cells of the logs. */
  readonly memtable: Memtable.Memtable
  readonly counterMax: number
  /** Cells of logs and tables, as `Storage.scan` gives them. Fails at lost cells, unless damage is to be skipped. */
  readonly cursor: (options: Cursor.ScanOptions) => Effect.Effect<Cursor.Cursor, Corruption>
}

/** Blocks that a scan reads again are few. */
const cacheBytes = 1024 * 1024

/** A process may often have a thousand, and `dump` reads several stores. */
const openFilesMax = 128

/** Closes its files with the scope. */
export const open = Effect.fnUntraced(function*(disk: Disk["Service"], directory: string) {
  const manifest = yield* readManifest(disk, directory)
  const context = {
    disk: boundedReads(disk, openFilesMax),
    directory,
    cache: BlockCache.make(cacheBytes),
    onDamage: () => {}
  }
  const { levels, lost } = yield* Effect.acquireRelease(
    load.openTables(context, manifest),
    ({ levels }) => load.closeAll(levels)
  )
  const holes = [...manifest.holes, ...lost.map(({ hole }) => hole)]
  const memtable = Memtable.make()
  const logs: Array<StoredLog> = []
  for (const log of manifest.logs) logs.push(yield* readLog(disk, RecordLog.pathOf(directory, log), memtable))
  const store: ReadOnly = {
    directory,
    levels,
    holes,
    holesKnown: manifest.holes.length,
    logs,
    memtable,
    counterMax: manifest.counterMax,
    cursor: (options) => cursor({ levels, holes, logs, memtable }, options)
  }
  return store
})

const readManifest = Effect.fnUntraced(function*(disk: Disk["Service"], directory: string) {
  const manifest = yield* Manifest.read(disk, directory)
  return manifest ?? (yield* withoutManifest(directory, yield* disk.list(directory)))
})

/** Where files of a store are left, it was one. */
export const withoutManifest = (directory: string, names: ReadonlyArray<string>): NoStore | Corruption => {
  const file = names.find((name) => /^(?:wal-\d{6,}\.log|\d{6,}\.(?:sst|idx))$/.test(name))
  if (file === undefined) return new NoStore({ path: directory })
  return new Corruption({
    path: Manifest.pathOf(directory),
    offsetBytes: 0,
    reason: `it is missing, but ${file} is there`
  })
}

/** Takes the whole records of a damaged log. */
const readLog = Effect.fnUntraced(function*(disk: Disk["Service"], path: string, memtable: Memtable.Memtable) {
  const bytes = yield* disk.readFile(path)
  if (bytes === undefined) return { path, bytes: 0, cells: 0, tornBytes: 0, problem: "it is missing" }
  const later = frame.laterMark(bytes, 0)
  if (later !== undefined) return yield* new UnknownFormat({ path, format: later, known: "RLg1" })
  const reading = frame.readAll(bytes)
  let problem = reading._tag === "DamagedMiddle"
    ? `it is damaged at byte ${reading.offset}, and records behind that are whole`
    : undefined
  const frames = reading._tag === "DamagedMiddle" ? frame.salvage(bytes) : reading.frames
  let cells = 0
  for (const { offset, payload } of frames) {
    if (payload.length === 0) continue
    const taken = load.takeUp(memtable, payload)
    if (taken === undefined) problem ??= `the record at byte ${offset} is not cells`
    cells += taken ?? 0
  }
  const tornBytes = reading._tag === "TornTail" ? bytes.length - reading.end : 0
  const log: StoredLog = { path, bytes: bytes.length, cells, tornBytes, problem }
  return log
})

const cursor = (
  { holes, levels, logs, memtable }: Pick<ReadOnly, "levels" | "holes" | "logs" | "memtable">,
  options: Cursor.ScanOptions
): Effect.Effect<Cursor.Cursor, Corruption> => {
  const damaged = logs.find(({ problem }) => problem !== undefined)
  if (damaged !== undefined && options.damage !== "skip") {
    return Effect.fail(new Corruption({ path: damaged.path, offsetBytes: 0, reason: damaged.problem! }))
  }
  const reverse = options.reverse === true
  const sources = [
    ...SortedRuns.sealed(memtable.runs).map((run) => new MemtableSource(run, 0, reverse)),
    ...Levels.runs(levels).map((run) => new TableSource(run, reverse, options.damage === "skip"))
  ]
  return Effect.succeed(Cursor.make(sources, holes, options))
}
