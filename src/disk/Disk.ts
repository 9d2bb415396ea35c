/**
 * The one door to files. `DiskNode` opens it on the operating system, `DiskMemory` on a model that can lose what was
 * not synced, tear a write and fail on demand.
 *
 * Invariants
 * - Appended bytes survive a crash once `sync` of that handle has succeeded; a created, renamed or removed name once
 *   `syncDirectory` of its directory has.
 * - An operation that fails has done nothing, a part or all of its work: the caller decides what is safe then.
 */
import { Context, Effect, Schema, type Scope } from "effect"
import type { StorageError } from "./StorageError.ts"

/** A file that is read at any place. Reading past its end is a `DiskError` with the code `EOF`. */
export interface ReadHandle {
  readonly read: (offsetBytes: number, lengthBytes: number) => Effect.Effect<Uint8Array, StorageError>
  /**
   * The same without an effect and into memory of the caller's, when the bytes are thought to be in the system's cache.
   * `false` otherwise, also after a failure.
   */
  readonly readNow: (offsetBytes: number, lengthBytes: number, target: Uint8Array) => boolean
  readonly close: Effect.Effect<void>
}

/** A file that only grows. */
export interface AppendHandle {
  /** The bytes may be changed by the caller once this is done. */
  readonly append: (bytes: Uint8Array) => Effect.Effect<void, StorageError>
  /** After a failure nothing is known about what was appended since the last success: do not use the handle again. */
  readonly sync: Effect.Effect<void, StorageError>
  readonly close: Effect.Effect<void>
}

/** A second name takes no space of its own. */
export type Link = "linked" | "copied"

/** Another running process, or another store in this one, uses the directory. */
export class DirectoryLocked extends Schema.TaggedError<DirectoryLocked>()("DirectoryLocked", { path: Schema.String }) {
  override get message() {
    return `the data directory ${this.path} is in use by another running node: stop it, or set DATA_DIR to another one`
  }
}

export class Disk extends Context.Service<Disk, {
  /** Creates the directory and its parents, durably. Nothing happens when it is there. */
  readonly makeDirectory: (path: string) => Effect.Effect<void, StorageError>
  /** Names of the files and directories in a directory, sorted. */
  readonly list: (directory: string) => Effect.Effect<ReadonlyArray<string>, StorageError>
  /** The whole file, or `undefined` when there is none. */
  readonly readFile: (path: string) => Effect.Effect<Uint8Array | undefined, StorageError>
  readonly sizeBytes: (path: string) => Effect.Effect<number, StorageError>
  readonly openRead: (path: string) => Effect.Effect<ReadHandle, StorageError>
  /** Opens for appending and creates the file when it is missing; `empty` cuts what it held. */
  readonly openAppend: (
    path: string,
    options?: { readonly empty?: boolean }
  ) => Effect.Effect<AppendHandle, StorageError>
  /** Cuts the file to a length and syncs it. */
  readonly truncate: (path: string, sizeBytes: number) => Effect.Effect<void, StorageError>
  /** Puts a file in the place of another in one step. */
  readonly rename: (from: string, to: string) => Effect.Effect<void, StorageError>
  /**
   * Gives a file a second name, or copies it where the file system has no hard links. A copy is durable as soon as the
   * names are.
   */
  readonly link: (from: string, to: string) => Effect.Effect<Link, StorageError>
  /** Nothing happens when it is not there. */
  readonly remove: (path: string) => Effect.Effect<void, StorageError>
  /** Removes a directory and what is in it. Nothing happens when it is not there. */
  readonly removeDirectory: (path: string) => Effect.Effect<void, StorageError>
  readonly syncDirectory: (path: string) => Effect.Effect<void, StorageError>
  /** Keeps every other process out of the directory until the scope closes or this process dies, however it dies. */
  readonly lock: (directory: string) => Effect.Effect<void, StorageError | DirectoryLocked, Scope.Scope>
}>()("rondo/disk/Disk") {}

/**
 * Replaces a small file so that a crash leaves the old contents or the new, never a mixture, and so that the new ones
 * are durable when this returns.
 */
export const writeAtomically = (
  disk: Disk["Service"],
  path: string,
  bytes: Uint8Array
): Effect.Effect<void, StorageError> => {
  const temporary = `${path}.tmp`
  return Effect.uninterruptible(Effect.gen(function*() {
    const handle = yield* disk.openAppend(temporary, { empty: true })
    yield* handle.append(bytes).pipe(Effect.andThen(handle.sync), Effect.ensuring(handle.close))
    yield* disk.rename(temporary, path)
    yield* disk.syncDirectory(directoryOf(path))
  }))
}

export const directoryOf = (path: string): string => {
  const slash = path.lastIndexOf("/")
  return slash === -1 ? "." : slash === 0 ? "/" : path.slice(0, slash)
}
