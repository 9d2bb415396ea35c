/**
 * Opens what an earlier run left: the tables that the manifest names, then the logs that are newer than them. Removes
 * what belongs to neither: files of a flush or compaction that a crash cut short.
 *
 * Invariants
 * - Damage to anything that was acknowledged stops the start with the place where it is. Nothing is skipped.
 */
import { Effect } from "effect"
import * as Cell from "../domain/Cell.ts"
import * as cellCodec from "../domain/cellCodec.ts"
import type { Disk } from "./Disk.ts"
import * as Manifest from "./manifest/Manifest.ts"
import * as Memtable from "./memtable/Memtable.ts"
import type { BlockCache } from "./sstable/BlockCache.ts"
import * as lookUp from "./sstable/lookUp.ts"
import * as Table from "./sstable/Table.ts"
import { Corruption, type StorageError } from "./StorageError.ts"
import * as RecordLog from "./wal/RecordLog.ts"

export interface Recovered {
  readonly active: Memtable.Memtable
  readonly tables: ReadonlyArray<Table.Table>
  readonly nextFile: number
  readonly counterMax: number
}

export const recover = Effect.fnUntraced(function*(
  disk: Disk["Service"],
  directory: string,
  cache: BlockCache
): Effect.fn.Return<Recovered, StorageError> {
  // Names that a killed process left unsynced are built upon from here on.
  yield* disk.syncDirectory(directory)
  const files = (yield* disk.list(directory)).map(parseName).filter((file) => file !== undefined)
  const manifest = yield* readManifest(disk, directory, files)
  const kept = new Set(manifest.tables)
  const isKept = ({ id, kind }: StoreFile) => kind === "wal" ? id >= manifest.firstLog : kept.has(id)
  for (const file of files) {
    if (!isKept(file)) yield* disk.remove(`${directory}/${file.name}`)
  }
  const tables = lookUp.byCounter(
    yield* Effect.forEach(manifest.tables, (id) => Table.open(disk, cache, directory, id))
  )
  const active = Memtable.make(manifest.firstLog)
  for (const file of files) {
    if (file.kind === "wal" && isKept(file)) yield* replay(disk, `${directory}/${file.name}`, active)
  }
  let counterMax = tables.reduce((max, { index }) => Math.max(max, index.properties.counterMax), 0)
  for (const { version } of Memtable.cellsOf(active)) counterMax = Math.max(counterMax, version.counter)
  const nextFile = files.reduce((max, { id }) => Math.max(max, id + 1), manifest.firstLog)
  return { active, tables, nextFile, counterMax }
})

interface StoreFile {
  readonly name: string
  readonly id: number
  readonly kind: "wal" | "table"
}

/** Names that are not the engine's belong to somebody else in the directory and are left alone. */
const parseName = (name: string): StoreFile | undefined => {
  const match = /^(?:(wal)-(\d{6,})\.log|(\d{6,})\.(?:sst|idx))$/.exec(name)
  if (match === null) return undefined
  return { name, id: Number(match[2] ?? match[3]), kind: match[1] === undefined ? "table" : "wal" }
}

const readManifest = Effect.fnUntraced(function*(
  disk: Disk["Service"],
  directory: string,
  files: ReadonlyArray<StoreFile>
) {
  const manifest = yield* Manifest.read(disk, directory)
  if (manifest !== undefined) return manifest
  // The manifest is written before the first of them, so it was lost, and without it they would pass for garbage.
  if (files.length > 0) {
    return yield* new Corruption({
      path: `${directory}/MANIFEST`,
      offsetBytes: 0,
      reason: `it is missing, but ${files[0]!.name} is there`
    })
  }
  const empty: Manifest.Manifest = { format: 1, tables: [], firstLog: 1 }
  yield* Manifest.write(disk, directory, empty)
  return empty
})

const replay = Effect.fnUntraced(function*(disk: Disk["Service"], path: string, active: Memtable.Memtable) {
  const { payloads, sizeBytes, tornBytes } = yield* RecordLog.recover(disk, path)
  if (tornBytes > 0) {
    yield* Effect.logWarning(`${path}: cut ${tornBytes} bytes of an unfinished write at byte ${sizeBytes}`)
  }
  for (const payload of payloads) {
    const cells = cellCodec.decodeAll(payload)
    if (cells === undefined) return yield* new Corruption({ path, offsetBytes: 0, reason: "a record is not cells" })
    for (const cell of cells) {
      const before = Memtable.get(active, cell.key)
      if (before === undefined || Cell.compare(cell, before) > 0) Memtable.set(active, cell)
    }
    yield* Effect.yieldNow
  }
  active.logs.push(path)
  active.logBytes += sizeBytes
})
