/**
 * Memory for blocks: cut one after the other from slabs, because making memory of its own for each block costs more
 * than reading and checking it. A slab is never used again; it is freed when nobody holds any part of it.
 *
 * Whoever keeps a part for long keeps its neighbours' memory: move what outlives them (`copy`).
 */
import * as Bytes from "../domain/bytes.ts"

/** Some thirty blocks of the usual size. */
const slabBytes = 128 * 1024

/** Larger ones are made on their own. A scan reads eight blocks at once. */
const partBytesMax = slabBytes / 3

let slab = Bytes.none
let used = 0

/** Memory with any contents. */
export const allocate = (sizeBytes: number): Uint8Array => {
  if (sizeBytes > partBytesMax) return Bytes.allocateOwn(sizeBytes)
  if (used + sizeBytes > slab.length) {
    slab = Bytes.allocateOwn(slabBytes)
    used = 0
  }
  const part = slab.subarray(used, used + sizeBytes)
  used += sizeBytes
  return part
}

export const copy = (bytes: Uint8Array): Uint8Array => {
  const part = allocate(bytes.length)
  part.set(bytes)
  return part
}
