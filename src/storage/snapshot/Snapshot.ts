/**
 * A durable copy of a store as it was at one moment, in a directory of its own: its tables under second names (copies
 * where the file system has none) and a manifest of them. Tables never change, so the store and its snapshots can share
 * them.
 *
 * Invariants
 * - The manifest is written last and removed first: a directory without one is no snapshot, even if it has tables.
 * - A snapshot has no logs. It holds what the memtable held when it was turned over, so it holds all
 *   or none of the cells of a call of `apply`, and those of all calls that were answered before.
 */
import { Effect, Schema, Semaphore } from "effect"
import { directoryOf, type Disk, type Link } from "../../disk/Disk.ts"
import type { StorageError } from "../../disk/StorageError.ts"
import * as Levels from "../Levels.ts"
import * as Manifest from "../manifest/Manifest.ts"
import * as Table from "../sstable/Table.ts"
import type { State } from "../State.ts"

/** Something is in the directory, which a snapshot would mix with. */
export class SnapshotDirectoryTaken extends Schema.TaggedError<SnapshotDirectoryTaken>()("SnapshotDirectoryTaken", {
  path: Schema.String
}) {
  override get message() {
    return `${this.path} is not empty: name a directory that does not exist yet`
  }
}

export interface SnapshotReport {
  readonly directory: string
  readonly tables: number
  /** In all tables, with older cells of a key and tombstones. */
  readonly cells: number
  readonly bytes: number
  /** How much of these takes space of its own, because it could not be linked. */
  readonly bytesCopied: number
}

export type Take = (directory: string) => Effect.Effect<SnapshotReport, StorageError | SnapshotDirectoryTaken>

/** One snapshot at a time: two in one directory would take each other's files away. */
export const make = (state: State, flush: Effect.Effect<void, StorageError>): Take => {
  const lock = Semaphore.makeUnsafe(1)
  return (directory) => lock.withPermit(take(state, flush, directory))
}

const take = Effect.fnUntraced(function*(state: State, flush: Effect.Effect<void, StorageError>, directory: string) {
  const { disk } = state
  yield* disk.makeDirectory(directory)
  if ((yield* disk.list(directory)).length > 0) return yield* new SnapshotDirectoryTaken({ path: directory })
  const filled = Effect.andThen(
    flush,
    Effect.acquireUseRelease(Effect.sync(() => hold(state)), ({ contents }) => fill(state, contents, directory), free)
  )
  return yield* Effect.onError(filled, () => Effect.ignore(remove(disk, directory)))
})

/** The tables of one moment, which stay until they are let go. */
const hold = ({ tables: live }: State) => {
  const tables = Levels.all(live.levels)
  for (const table of tables) table.retain()
  return { tables, contents: live.manifestOf({ levels: live.levels, holes: live.holes, logs: [] }) }
}

const free = ({ tables }: ReturnType<typeof hold>) =>
  Effect.sync(() => {
    for (const table of tables) table.release()
  })

const fill = Effect.fnUntraced(function*({ disk, settings }: State, contents: Manifest.Manifest, directory: string) {
  const bytesCopied = yield* copyInto(disk, settings.directory, contents, directory)
  return reportOf(directory, contents.tables, bytesCopied)
})

export const reportOf = (
  directory: string,
  tables: ReadonlyArray<Manifest.TableEntry>,
  bytesCopied: number
): SnapshotReport => ({
  directory,
  tables: tables.length,
  cells: tables.reduce((sum, { cells }) => sum + cells, 0),
  bytes: Levels.bytesOf(tables),
  bytesCopied
})

/**
 * Makes an empty directory a store of these contents, durably. Returns how many bytes of the tables' lines had to be
 * copied. A failure leaves no manifest, unless the very last step failed. The paths in `missing` are left out.
 */
export const copyInto = Effect.fnUntraced(function*(
  disk: Disk["Service"],
  source: string,
  contents: Manifest.Manifest,
  target: string,
  missing: ReadonlySet<string> = new Set()
) {
  let bytesCopied = 0
  const link = (from: string, to: string) => missing.has(from) ? Effect.succeed<Link>("linked") : disk.link(from, to)
  for (const { id, sizeBytes } of contents.tables) {
    const made = yield* link(Table.dataPath(source, id), Table.dataPath(target, id))
    yield* link(Table.indexPath(source, id), Table.indexPath(target, id))
    if (made === "copied") bytesCopied += sizeBytes
  }
  yield* disk.syncDirectory(target)
  yield* Manifest.write(disk, target, contents)
  yield* disk.syncDirectory(directoryOf(target))
  return bytesCopied
})

/** Removes a snapshot, or what is there of one, so that at no moment a part of it could pass for the whole. */
export const remove = Effect.fnUntraced(function*(disk: Disk["Service"], directory: string) {
  yield* disk.remove(Manifest.pathOf(directory))
  yield* disk.syncDirectory(directory)
  yield* disk.removeDirectory(directory)
  yield* disk.syncDirectory(directoryOf(directory))
})
