/**
 * A disk around another that fails operations by their number, or acts as that of a process killed at an operation
 * while the system lives on.
 *
 * `DiskMemory` loses power and fails operations by name. This one numbers the operations of one life of a store, and a
 * plan decides about each.
 */
import { Effect } from "effect"
import type { AppendHandle, Disk, ReadHandle } from "../../../src/disk/Disk.ts"
import { DiskError, DiskFull, type StorageError } from "../../../src/disk/StorageError.ts"

/** `full` fails only operations that need space. */
export type Fault = "EIO" | "full" | "killed"

export interface Operation {
  /** The first is 1. */
  readonly number: number
  readonly name: string
  readonly path: string
}

export interface FaultyDisk {
  readonly disk: Disk["Service"]
  readonly operations: () => number
  /** The operations that the plan failed. */
  readonly failed: () => ReadonlyArray<Operation>
  readonly setPlan: (plan: (operation: Operation) => Fault | undefined) => void
  /** Nothing reaches the disk any more. */
  readonly kill: () => void
  readonly isKilled: () => boolean
}

export const make = (inner: Disk["Service"]): FaultyDisk => {
  let plan: (operation: Operation) => Fault | undefined = () => undefined
  let count = 0
  let killed = false
  const failed: Array<Operation> = []

  const faultOf = (name: string, path: string): StorageError | undefined => {
    if (killed) return new DiskError({ operation: name, path, code: "KILLED" })
    const operation = { number: ++count, name, path }
    const fault = plan(operation)
    if (fault === undefined || (fault === "full" && !needsSpace.has(name))) return undefined
    failed.push(operation)
    if (fault === "full") return new DiskFull({ path })
    if (fault === "killed") killed = true
    return new DiskError({ operation: name, path, code: fault === "EIO" ? "EIO" : "KILLED" })
  }

  /** A failing operation still does `inPart`. */
  const guard = <A>(
    name: string,
    path: string,
    act: Effect.Effect<A, StorageError>,
    inPart?: Effect.Effect<void, StorageError>
  ): Effect.Effect<A, StorageError> =>
    Effect.suspend(() => {
      const wasKilled = killed
      const fault = faultOf(name, path)
      if (fault === undefined) return act
      return Effect.andThen(wasKilled || inPart === undefined ? Effect.void : Effect.ignore(inPart), Effect.fail(fault))
    })

  const around = <Parameters extends readonly [string, ...ReadonlyArray<unknown>], A>(
    name: string,
    act: (...parameters: Parameters) => Effect.Effect<A, StorageError>
  ) =>
  (...parameters: Parameters) => guard(name, parameters[0], act(...parameters))

  const readHandle = (path: string, handle: ReadHandle): ReadHandle => ({
    ...handle,
    read: (offsetBytes, lengthBytes) => guard("read", path, handle.read(offsetBytes, lengthBytes))
  })

  /** As on Linux, a failed sync drops its bytes, and the next sync succeeds without them. */
  const appendHandle = (path: string, handle: AppendHandle): AppendHandle => {
    let isPoisoned = false
    const poison = Effect.sync(() => {
      isPoisoned = true
    })
    return {
      ...handle,
      append: (bytes) =>
        guard("append", path, handle.append(bytes), handle.append(bytes.subarray(0, bytes.length >> 1))),
      sync: guard("sync", path, Effect.suspend(() => isPoisoned ? Effect.void : handle.sync), poison)
    }
  }

  return {
    disk: {
      ...inner,
      makeDirectory: around("makeDirectory", inner.makeDirectory),
      list: around("list", inner.list),
      readFile: around("readFile", inner.readFile),
      sizeBytes: around("sizeBytes", inner.sizeBytes),
      openRead: (path) =>
        guard("openRead", path, Effect.map(inner.openRead(path), (handle) => readHandle(path, handle))),
      openAppend: (path, options) =>
        guard("openAppend", path, Effect.map(inner.openAppend(path, options), (handle) => appendHandle(path, handle))),
      truncate: around("truncate", inner.truncate),
      rename: around("rename", inner.rename),
      link: around("link", inner.link),
      remove: around("remove", inner.remove),
      removeDirectory: around("removeDirectory", inner.removeDirectory),
      syncDirectory: around("syncDirectory", inner.syncDirectory)
    },
    operations: () => count,
    failed: () => failed,
    setPlan: (next) => {
      plan = next
    },
    kill: () => {
      killed = true
    },
    isKilled: () => killed
  }
}

/** Opening an existing file needs none on a real disk, but that is no promise. */
const needsSpace = new Set(["makeDirectory", "openAppend", "append", "link"])
