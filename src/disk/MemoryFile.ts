/**
 * A file of `DiskMemory`: its bytes as the running process sees them, and how many of them the device has.
 *
 * Source: Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014), section 2.
 */
import * as Bytes from "../domain/bytes.ts"

/** A file when a sync of it begins. */
export interface Extent {
  readonly lengthBytes: number
  readonly cutFrom: Uint8Array | undefined
}

export class MemoryFile {
  /** How many of the bytes are known to be on the device. */
  private syncedBytes = 0
  /** The bytes that the device still has of a file that was cut and not synced since. */
  private cutFrom: Uint8Array | undefined
  private room: Uint8Array = Bytes.none
  private length = 0

  get bytes(): Uint8Array {
    return this.room.subarray(0, this.length)
  }

  get extent(): Extent {
    return { lengthBytes: this.length, cutFrom: this.cutFrom }
  }

  /** Takes twice the room it needs, or a log of many records would be copied once for each. */
  append(bytes: Uint8Array): void {
    const length = this.length + bytes.length
    if (length > this.room.length) {
      const room = Bytes.allocateOwn(2 * length)
      room.set(this.bytes)
      this.room = room
    }
    this.room.set(bytes, this.length)
    this.length = length
  }

  cut(sizeBytes: number): void {
    if (sizeBytes < this.syncedBytes) {
      this.cutFrom ??= this.bytes.subarray(0, this.syncedBytes)
      this.syncedBytes = sizeBytes
    }
    this.replace(Bytes.copyOf(this.bytes, 0, sizeBytes))
  }

  /** A sync ended: the device has the bytes of its beginning, unless the file was cut meanwhile. */
  settle({ cutFrom, lengthBytes }: Extent): void {
    if (this.cutFrom !== cutFrom) return
    this.syncedBytes = Math.max(this.syncedBytes, Math.min(lengthBytes, this.length))
    this.cutFrom = undefined
  }

  /** The power went off. */
  lose(draw: () => number): void {
    const kept = this.syncedBytes + Math.floor(draw() * (this.length - this.syncedBytes + 1))
    const survivor = Bytes.copyOf(this.bytes, 0, kept)
    // Pages reach the device in any order: a later one may be there when an earlier one is still empty.
    if (draw() < 0.25) {
      const from = this.syncedBytes + Math.floor(draw() * (kept - this.syncedBytes))
      survivor.fill(0, from, from + Math.floor(draw() * (kept - from)))
    }
    this.replace(this.cutFrom !== undefined && draw() < 0.5 ? this.cutFrom : survivor)
    this.syncedBytes = this.length
    this.cutFrom = undefined
  }

  private replace(bytes: Uint8Array): void {
    this.room = bytes
    this.length = bytes.length
  }
}
