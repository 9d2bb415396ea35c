/**
 * Memory for blocks: cut one after the other from slabs, because making a `Buffer` of its own for each block costs more
 * than reading and checking it. A slab is never used again; it is freed when nobody holds any part of it.
 *
 * Whoever keeps a part for long keeps its neighbours' memory: move what outlives them (`copy`).
 */

/** Some thirty blocks of the usual size. */
const slabBytes = 128 * 1024

/** Larger ones are made on their own. A scan reads eight blocks at once. */
const partBytesMax = slabBytes / 3

let slab = Buffer.alloc(0)
let used = 0

/** Memory with any contents. */
export const allocate = (sizeBytes: number): Buffer => {
  if (sizeBytes > partBytesMax) return Buffer.allocUnsafeSlow(sizeBytes)
  if (used + sizeBytes > slab.length) {
    slab = Buffer.allocUnsafeSlow(slabBytes)
    used = 0
  }
  const part = slab.subarray(used, used + sizeBytes)
  used += sizeBytes
  return part
}

export const copy = (bytes: Buffer): Buffer => {
  const part = allocate(bytes.length)
  bytes.copy(part)
  return part
}
