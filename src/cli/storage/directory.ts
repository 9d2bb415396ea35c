/**
 * A store's directory, opened by a command instead of a node: with the lock that keeps nodes out, and with errors that
 * say what to do next.
 */
import { Effect, Logger, Schema, type Scope } from "effect"
import * as Logging from "../../observability/Logging.ts"
import { DirectoryLocked, Disk } from "../../storage/Disk.ts"
import * as DiskNode from "../../storage/DiskNode.ts"
import * as Engine from "../../storage/Engine.ts"
import * as ReadOnly from "../../storage/offline/ReadOnly.ts"
import { StorageError } from "../../storage/StorageError.ts"
import { CommandFailed, report } from "../CommandFailed.ts"
import type { Output } from "../Output.ts"

/** What a running node can do instead. */
export const liveHint =
  "stop it first, or take a snapshot with  rondo storage snapshot --node URL NAME  and use that instead"

const isStorageError = Schema.is(StorageError)

const sentenceOf = (directory: string, error: unknown): string => {
  if (error instanceof DirectoryLocked) return `${error.path} is in use by a running node: ${liveHint}`
  if (!isStorageError(error)) return error instanceof Error ? error.message : String(error)
  switch (error._tag) {
    case "DiskError":
      return error.code === "ENOENT" && (error.path === directory || error.operation === "list")
        ? `there is no directory ${error.path}`
        : error.message
    case "Corruption":
      return `${error.message}\n  rondo storage verify ${directory}  says what else is damaged`
    default:
      return error.message
  }
}

/** Runs a command's work with the real disk, in a scope; every failure becomes a sentence. */
export const run = <E>(directory: string, work: Effect.Effect<void, E, Disk | Output | Scope.Scope>) =>
  report(
    Effect.scoped(work).pipe(
      Effect.mapError((error) =>
        error instanceof CommandFailed ? error : new CommandFailed({ message: sentenceOf(directory, error) })
      ),
      Effect.provide(DiskNode.layer)
    )
  )

/** Nothing is changed, not even by a lock: where no node has ever run, there is none to keep out. */
export const openReadOnly = Effect.fnUntraced(function*(directory: string) {
  const disk = yield* Disk
  if ((yield* disk.list(directory)).includes("LOCK")) yield* disk.lock(directory)
  // What is damaged is part of the result.
  return yield* Effect.provide(ReadOnly.open(disk, directory), quiet)
})

export const quiet = Logger.layer([])

/** What the engine logs goes to standard error, where it does not mix with results. */
const logs = Logger.layer([Logger.withConsoleError(Logging.human)])

const mebibyte = 1024 * 1024

/** The engine on a directory that is a store already. */
export const openEngine = Effect.fnUntraced(function*(directory: string) {
  const disk = yield* Disk
  if (!(yield* disk.list(directory)).includes("MANIFEST")) return yield* new ReadOnly.NoStore({ path: directory })
  yield* disk.lock(directory)
  return yield* Effect.provide(
    Engine.open(disk, {
      directory,
      fsync: "always",
      memtableBytesMax: 32 * mebibyte,
      blockCacheBytesMax: 8 * mebibyte
    }),
    logs
  )
})
