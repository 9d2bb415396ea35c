/**
 * Opens what an earlier run left: the tables that the manifest names, then the logs that are newer than them. Removes
 * what belongs to neither: files of a flush or compaction that a crash cut short.
 *
 * Invariants
 * - Damage to a log, or to the manifest, stops the start with the place where it is, unless the operator gave it up
 *   (`salvage`). Nothing is skipped silently.
 * - Damage to a table does not: its range of keys becomes a hole.
 */
import { Effect } from "effect"
import type { Disk } from "../disk/Disk.ts"
import { Corruption, type StorageError } from "../disk/StorageError.ts"
import * as load from "./load.ts"
import * as Holes from "./manifest/Holes.ts"
import * as Manifest from "./manifest/Manifest.ts"
import * as Memtable from "./memtable/Memtable.ts"
import * as Table from "./sstable/Table.ts"
import type * as State from "./State.ts"
import * as RecordLog from "./wal/RecordLog.ts"

export interface Recovered extends State.Recovered {
  /** Whether something that was acknowledged may be lost from the logs, which the operator accepted. */
  readonly salvaged: boolean
}

export interface Options {
  readonly context: Table.Context
  /** Go on without what a damaged or missing log held. */
  readonly salvage: boolean
}

export const recover = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<Recovered, StorageError> {
  const { directory, disk } = options.context
  // Names that a killed process left unsynced are built upon from here on.
  yield* disk.syncDirectory(directory)
  const listed = yield* disk.list(directory)
  for (const name of listed) if (isTemporary(name)) yield* disk.remove(`${directory}/${name}`)
  const files = listed.map(parseName).filter((file) => file !== undefined)
  const stored = yield* readManifest(options, files)
  const names = new Set(stored.tables.map(({ id }) => id))
  const logs = new Set(stored.logs)
  for (const { id, kind, name } of files) {
    if (!(kind === "wal" ? logs : names).has(id)) yield* disk.remove(`${directory}/${name}`)
  }
  const { levels, lost } = yield* load.openTables(options.context, stored)
  const holes = [...stored.holes, ...lost.map(({ hole }) => hole)]
  const active = Memtable.make()
  let salvaged = false
  yield* Effect.gen(function*() {
    if (lost.length > 0) yield* forget(options, { ...stored, holes }, lost)
    for (const log of stored.logs) {
      const isThere = files.some(({ id, kind }) => kind === "wal" && id === log)
      salvaged = (yield* replay(options, log, isThere, active)) || salvaged
    }
  }).pipe(Effect.onError(() => load.closeAll(levels)))
  let counterMax = stored.counterMax
  for (const { cell } of active.entries.values()) counterMax = Math.max(counterMax, cell!.version.counter)
  const nextFile = [...files.map(({ id }) => id), ...names, ...logs].reduce((max, id) => Math.max(max, id + 1), 1)
  return { active, levels, holes, nextFile, counterMax, salvaged }
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

/** A log or an index that was to be replaced when the store ended. */
const isTemporary = (name: string): boolean => name.endsWith(".tmp") && parseName(name.slice(0, -4)) !== undefined

const readManifest = Effect.fnUntraced(function*(
  { context: { directory, disk } }: Options,
  files: ReadonlyArray<StoreFile>
): Effect.fn.Return<Manifest.Manifest, StorageError> {
  const manifest = yield* Manifest.read(disk, directory)
  if (manifest !== undefined) return manifest
  // The manifest is written before the first of them, so it was lost, and without it they would pass for garbage.
  if (files.length > 0) {
    return yield* new Corruption({
      path: Manifest.pathOf(directory),
      offsetBytes: 0,
      reason: `it is missing, but ${files[0]!.name} is there`
    })
  }
  yield* Manifest.write(disk, directory, Manifest.empty)
  return Manifest.empty
})

/** Tables that cannot be opened are moved aside: what they held is among the holes. */
const forget = Effect.fnUntraced(function*(
  { context: { directory, disk } }: Options,
  stored: Manifest.Manifest,
  lost: ReadonlyArray<load.LostTable>
) {
  for (const { hole } of lost) {
    yield* Effect.logError(`${Holes.damageOf(hole).message}. Its cells are requested from the other replicas`)
  }
  const gone = new Set(lost.map(({ entry }) => entry))
  yield* Manifest.write(disk, directory, { ...stored, tables: stored.tables.filter((entry) => !gone.has(entry)) })
  for (const { id } of gone) yield* moveAside(disk, directory, id)
})

/** For people: nothing reads them any more. */
const moveAside = Effect.fnUntraced(function*(disk: Disk["Service"], directory: string, id: number) {
  for (const path of [Table.dataPath(directory, id), Table.indexPath(directory, id)]) {
    yield* Effect.ignore(disk.rename(path, `${path}.damaged`))
  }
})

/** Whether something was lost. */
const replay = Effect.fnUntraced(function*(
  { context: { directory, disk }, salvage }: Options,
  log: number,
  isThere: boolean,
  active: Memtable.Memtable
): Effect.fn.Return<boolean, StorageError> {
  const path = RecordLog.pathOf(directory, log)
  if (!isThere) return yield* missingLog(path, salvage)
  const { lostBytes, payloads, sizeBytes, tornBytes } = yield* RecordLog.recover(disk, path, { salvage })
  if (tornBytes > 0) {
    yield* Effect.logWarning(`${path}: cut ${tornBytes} bytes of an unfinished write at byte ${sizeBytes}`)
  }
  for (const payload of payloads) {
    if (load.takeUp(active, payload) === undefined) {
      return yield* new Corruption({ path, offsetBytes: 0, reason: "a record is not cells" })
    }
    yield* Effect.yieldNow
  }
  active.logs.push(log)
  active.logBytes += sizeBytes
  return lostBytes > 0
})

const missingLog = Effect.fnUntraced(function*(path: string, salvage: boolean) {
  if (!salvage) {
    return yield* new Corruption({ path, offsetBytes: 0, reason: "it is missing, and the MANIFEST names it" })
  }
  yield* Effect.logError(`${path} is missing: what it held is given up`)
  return true
})
