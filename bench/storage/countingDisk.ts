/** A `Disk` that counts what goes through it. */
import { Effect } from "effect"
import type { Disk } from "../../src/disk/Disk.ts"

export interface Counts {
  /** To files of the log. */
  logBytes: number
  /** To every other file. */
  tableBytes: number
  reads: number
}

export const counts = (): Counts => ({ logBytes: 0, tableBytes: 0, reads: 0 })

export const make = (disk: Disk["Service"], counted: Counts): Disk["Service"] => ({
  ...disk,
  openRead: (path) =>
    Effect.map(disk.openRead(path), (handle) => ({
      ...handle,
      read: (offsetBytes, lengthBytes) => {
        counted.reads++
        return handle.read(offsetBytes, lengthBytes)
      },
      readNow: (offsetBytes, lengthBytes, target) => {
        const isRead = handle.readNow(offsetBytes, lengthBytes, target)
        // What it refuses is asked for again with `read`.
        if (isRead) counted.reads++
        return isRead
      }
    })),
  openAppend: (path, options) => {
    const part = /wal-[^/]*$/.test(path) ? "logBytes" : "tableBytes"
    return Effect.map(disk.openAppend(path, options), (handle) => ({
      ...handle,
      append: (bytes) => {
        counted[part] += bytes.length
        return handle.append(bytes)
      }
    }))
  }
})
