/** A `Disk` that counts bytes written and reads. */
import { Effect } from "effect"
import type { Disk } from "../../src/disk/Disk.ts"

export interface Counts {
  /** Written to logs. */
  logBytes: number
  /** Written to all other files. */
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
        // If it returns false, the caller repeats the request with `read`.
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
