/**
 * A disk that holds a bounded number of files open for reading, however many handles it has given out: the file of a
 * handle that was not used lately is closed, and opened again by the next read. Which one goes, second chance decides.
 *
 * Invariants
 * - A file is not closed while it is read: when all are, there are more of them for that time.
 * - A handle is closed before its file is removed, or is never read again: a later read would not find the file.
 *
 * Source: the table cache of LevelDB (`db/table_cache.cc`).
 */
import { Effect } from "effect"
import type { Disk, ReadHandle } from "./Disk.ts"
import { DiskError, type StorageError } from "./StorageError.ts"

interface File {
  readonly path: string
  handle: ReadHandle | undefined
  readers: number
  /** Since it was looked at last. */
  wasUsed: boolean
  isClosed: boolean
}

export const boundedReads = (disk: Disk["Service"], filesMax: number): Disk["Service"] => {
  const open = new Set<File>()

  const take = (file: File): Effect.Effect<void> => {
    const { handle } = file
    file.handle = undefined
    open.delete(file)
    return handle === undefined ? Effect.void : handle.close
  }

  /** Closes files beyond the bound that nobody reads. */
  const evict = Effect.suspend(() => {
    const closing: Array<Effect.Effect<void>> = []
    let looks = 2 * open.size
    for (const file of open) {
      if (open.size <= filesMax || looks-- === 0) break
      if (file.readers === 0 && !file.wasUsed) closing.push(take(file))
      else {
        file.wasUsed = false
        open.delete(file)
        open.add(file)
      }
    }
    return Effect.all(closing, { discard: true })
  })

  const acquire = (file: File): Effect.Effect<ReadHandle, StorageError> =>
    Effect.suspend(() => {
      if (file.isClosed) return Effect.fail(new DiskError({ operation: "read", path: file.path, code: "EBADF" }))
      if (file.handle === undefined) return Effect.flatMap(disk.openRead(file.path), (opened) => adopt(file, opened))
      file.readers++
      file.wasUsed = true
      return Effect.succeed(file.handle)
    })

  const adopt = (file: File, opened: ReadHandle): Effect.Effect<ReadHandle, StorageError> => {
    // Another read was faster, or it was closed meanwhile.
    if (file.handle !== undefined || file.isClosed) return Effect.andThen(opened.close, acquire(file))
    file.handle = opened
    file.readers++
    open.add(file)
    return Effect.as(evict, opened)
  }

  const release = (file: File) =>
    Effect.suspend(() => {
      file.readers--
      if (file.isClosed && file.readers === 0) return take(file)
      return open.size > filesMax ? evict : Effect.void
    })

  const handleOf = (file: File): ReadHandle => ({
    read: (offsetBytes, lengthBytes) =>
      Effect.acquireUseRelease(
        acquire(file),
        (handle) => handle.read(offsetBytes, lengthBytes),
        () => release(file)
      ),
    readNow: (offsetBytes, lengthBytes, target) => {
      if (file.handle === undefined) return false
      file.wasUsed = true
      return file.handle.readNow(offsetBytes, lengthBytes, target)
    },
    close: Effect.suspend(() => {
      file.isClosed = true
      return file.readers === 0 ? take(file) : Effect.void
    })
  })

  return {
    ...disk,
    openRead: (path) => {
      const file: File = { path, handle: undefined, readers: 0, wasUsed: false, isClosed: false }
      return Effect.uninterruptible(
        Effect.andThen(Effect.flatMap(acquire(file), () => release(file)), Effect.sync(() => handleOf(file)))
      )
    }
  }
}
