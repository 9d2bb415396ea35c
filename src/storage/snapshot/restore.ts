/**
 * Makes a snapshot the data directory of a node. Without an identity, so that the node that starts on it draws a new
 * incarnation, and counts for no quorum before it has compared with the other replicas: what it acknowledged after the
 * snapshot is missing here.
 */
import { Effect, Schema } from "effect"
import type { Disk } from "../../disk/Disk.ts"
import { isMissing } from "../../disk/StorageError.ts"
import * as Manifest from "../manifest/Manifest.ts"
import * as Table from "../sstable/Table.ts"
import * as Snapshot from "./Snapshot.ts"

/** The message says why, and what to do about it. */
export class CannotRestore extends Schema.TaggedError<CannotRestore>()("CannotRestore", {
  message: Schema.String
}) {}

export interface RestoreReport extends Snapshot.SnapshotReport {
  /** Ranges of which the snapshot had lost cells already. */
  readonly holes: number
}

/** Whether it can be done, as far as that can be told without reading the tables. Changes nothing. */
export const prepare = Effect.fnUntraced(function*(disk: Disk["Service"], source: string, target: string) {
  const contents = yield* readSnapshot(disk, source)
  const names = yield* Effect.catchIf(disk.list(target), isMissing, () => Effect.succeed([]))
  const others = names.filter((name) => name !== "LOCK")
  if (others.length > 0) {
    return yield* new CannotRestore({
      message: `${target} is not empty (${others[0]}): move it away, or name another directory`
    })
  }
  return contents
})

/**
 * The lock on the target is the caller's, and so is the verification of the source. Files that are missing are passed
 * over when damage is allowed: the node that starts there takes what they held from other replicas.
 */
export const restore = Effect.fnUntraced(function*(
  disk: Disk["Service"],
  source: string,
  target: string,
  allowDamage = false
) {
  const contents = yield* prepare(disk, source, target)
  const missing = yield* missingFiles(disk, source, contents)
  const [first] = missing
  if (first !== undefined && !allowDamage) return yield* new CannotRestore({ message: `${first} is missing` })
  const { tables } = contents
  const bytesCopied = yield* Effect.onError(
    Snapshot.copyInto(disk, source, contents, target, missing),
    () => Effect.ignore(undo(disk, target, tables.map(({ id }) => id)))
  )
  const report: RestoreReport = { ...Snapshot.reportOf(target, tables, bytesCopied), holes: contents.holes.length }
  return report
})

const missingFiles = Effect.fnUntraced(function*(
  disk: Disk["Service"],
  source: string,
  { tables }: Manifest.Manifest
) {
  const there = new Set((yield* disk.list(source)).map((name) => `${source}/${name}`))
  const wanted = tables.flatMap(({ id }) => [Table.dataPath(source, id), Table.indexPath(source, id)])
  return new Set(wanted.filter((path) => !there.has(path)))
})

const readSnapshot = Effect.fnUntraced(function*(disk: Disk["Service"], source: string) {
  const contents = yield* Manifest.read(disk, source)
  if (contents === undefined) {
    return yield* new CannotRestore({
      message: `${source} is no snapshot, or an incomplete one: it has no MANIFEST`
    })
  }
  const isNodes = (yield* disk.readFile(`${source}/identity.json`)) !== undefined
  if (isNodes || contents.logs.length > 0) {
    return yield* new CannotRestore({
      message: `${source} is a data directory, not a snapshot of one: take one with\n` +
        `  rondo storage snapshot ${source} NEW-DIRECTORY`
    })
  }
  return contents
})

/** The manifest first: at no moment may a part pass for the whole. */
const undo = Effect.fnUntraced(function*(disk: Disk["Service"], target: string, ids: ReadonlyArray<number>) {
  yield* disk.remove(Manifest.pathOf(target))
  yield* disk.remove(`${Manifest.pathOf(target)}.tmp`)
  yield* disk.syncDirectory(target)
  for (const id of ids) {
    yield* disk.remove(Table.dataPath(target, id))
    yield* disk.remove(Table.indexPath(target, id))
  }
})
