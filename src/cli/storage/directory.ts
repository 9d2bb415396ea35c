/** A store's directory, opened by a command: it takes the lock that keeps nodes out, and errors say what to do next. */
import { Effect, Logger, Option, Schema, type Scope, Stream } from "effect"
import { DirectoryLocked, directoryOf, Disk } from "../../disk/Disk.ts"
import * as DiskNode from "../../disk/DiskNode.ts"
import { type Corruption, StorageError } from "../../disk/StorageError.ts"
import * as Bytes from "../../domain/bytes.ts"
import * as Logging from "../../observability/Logging.ts"
import * as Engine from "../../storage/Engine.ts"
import * as ReadOnly from "../../storage/offline/ReadOnly.ts"
import type * as Cursor from "../../storage/scan/Cursor.ts"
import { CommandFailed, failed } from "../CommandFailed.ts"
import type { Output } from "../Output.ts"

const isStorageError = Schema.is(StorageError)

const adviceOn = (directory: string, { path }: Corruption): string =>
  path.endsWith("/MANIFEST")
    ? "The store cannot be opened without its MANIFEST. If it is a node's, treat the disk as lost (start the node " +
      "with an empty DATA_DIR, or restore a snapshot). The cells can still be read:\n" +
      `  jq -c 'select(.key)' ${directoryOf(path)}/*.sst`
    : path.endsWith(".log")
    ? "start the node once with --salvage, then stop it and try again"
    : `rondo storage verify ${directory}  lists all damage`

const sentenceOf = (directory: string, error: unknown): string => {
  if (error instanceof DirectoryLocked) {
    return `${error.path} is in use by a running node: stop it first, or take a snapshot with  ` +
      "rondo storage snapshot --node URL NAME  and use that instead"
  }
  if (!isStorageError(error)) return error instanceof Error ? error.message : String(error)
  switch (error._tag) {
    case "DiskError":
      return error.code === "ENOENT" && (error.path === directory || error.operation === "list")
        ? `no such directory: ${error.path}`
        : error.code === "ENOTDIR" && error.operation === "list"
        ? `${error.path} is a file: give its directory`
        : error.message
    case "Corruption":
      return `${error.message}\n  ${adviceOn(directory, error)}`
    default:
      return error.message
  }
}

type Work<E> = Effect.Effect<void, E, Disk | Output | Scope.Scope>

const runWith = <E>(logs: typeof quiet, directory: string, work: Work<E>) =>
  Effect.scoped(work).pipe(
    Effect.mapError((error) => error instanceof CommandFailed ? error : failed(sentenceOf(directory, error))),
    Effect.provide([DiskNode.layer, logs])
  )

/** A command that only reads reports damage in its result. */
const quiet = Logger.layer([])

/** The engine logs to standard error, apart from results. */
const noisy = Logger.layer([Logger.withConsoleError(Logging.human)])

/** Runs a command's work with the real disk, in a scope; every failure becomes a sentence. */
export const run = <E>(directory: string, work: Work<E>) => runWith(noisy, directory, work)

/** The same for work that only reads. */
export const runReading = <E>(directory: string, work: Work<E>) => runWith(quiet, directory, work)

/** Changes nothing and leaves no lock behind: where no node has ever run, there is none to keep out. */
export const openReadOnly = Effect.fnUntraced(function*(directory: string) {
  const disk = yield* Disk
  if ((yield* disk.list(directory)).includes("LOCK")) yield* disk.lock(directory)
  return yield* ReadOnly.open(disk, directory)
})

/** Where no node has run, as in a snapshot, no lock is left behind. */
export const lock = Effect.fnUntraced(function*(directory: string) {
  const disk = yield* Disk
  const isLeft = (yield* disk.list(directory)).includes("LOCK")
  yield* disk.lock(directory)
  if (!isLeft) yield* Effect.addFinalizer(() => Effect.ignore(disk.remove(`${directory}/LOCK`)))
})

const mebibyte = 1024 * 1024

/** The engine on a directory that is a store already. */
export const openEngine = Effect.fnUntraced(function*(directory: string) {
  const disk = yield* Disk
  const names = yield* disk.list(directory)
  if (!names.includes("MANIFEST")) return yield* ReadOnly.withoutManifest(directory, names)
  yield* lock(directory)
  return yield* Engine.open(disk, {
    directory,
    fsync: "always",
    memtableBytesMax: 32 * mebibyte,
    blockCacheBytesMax: 8 * mebibyte,
    tombstones: yield* tombstonesOf(disk, directory)
  })
})

/** No replica relies on the tombstones of a database of `level`, which marks its directory with its name. */
export const tombstonesOf = (disk: Disk["Service"], directory: string) =>
  Effect.map(
    disk.readFile(`${directory}/identity.json`),
    (identity) =>
      identity !== undefined && Bytes.utf8(identity).includes(`"nodeId":"level"`) ? "purge" as const : "keep" as const
  )

const cellsPerPage = 1024

/** The cells of a cursor that are still to come. */
export const cellsOf = (cursor: Cursor.Cursor) =>
  Stream.paginate(cursor, (same) =>
    Effect.map(
      same.next(cellsPerPage),
      (cells) => [cells, cells.length === 0 ? Option.none<Cursor.Cursor>() : Option.some(same)] as const
    ))
