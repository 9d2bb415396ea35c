/**
 * Blocks that were read lately, within a bound of bytes.
 *
 * A block is found through its table's own array, one read, because every look-up of a stored key comes by here. What
 * goes when the bound is reached is decided by second chance: the oldest block that nobody used since it was looked at.
 *
 * Source: Corbató, "A Paging Experiment with the Multics System" (1968).
 */
import * as slab from "../../disk/slab.ts"

export interface CachedBlock {
  bytes: Uint8Array
  used: boolean
  readonly slots: BlockSlots
  readonly index: number
}

/** The cached blocks of one table, by block index. */
export type BlockSlots = Array<CachedBlock | undefined>

export interface BlockCache {
  readonly get: (slots: BlockSlots, index: number) => CachedBlock | undefined
  /** Whether a block that was just read should be kept. */
  readonly admits: (lengthBytes: number) => boolean
  readonly put: (slots: BlockSlots, index: number, bytes: Uint8Array) => void
  readonly sizeBytes: () => number
}

/**
 * A full cache takes one of so many blocks that were missed: what is read again and again comes in soon, and what is read
 * once costs neither memory nor what it would have pushed out.
 */
const missesPerAdmission = 8

/** When every block was used, looking for one that was not would copy the whole cache in one go. */
const chancesPerPutMax = 16

export const make = (bytesMax: number): BlockCache => {
  let queue: Array<CachedBlock | undefined> = []
  let head = 0
  let sizeBytes = 0
  let misses = 0

  const evict = () => {
    let chances = chancesPerPutMax
    while (sizeBytes > bytesMax && head < queue.length) {
      const oldest = queue[head]!
      queue[head++] = undefined
      if (oldest.used && chances-- > 0) {
        oldest.used = false
        // It outlives what was read with it, whose memory would stay for its sake.
        oldest.bytes = slab.copy(oldest.bytes)
        queue.push(oldest)
      } else {
        oldest.slots[oldest.index] = undefined
        sizeBytes -= oldest.bytes.length
      }
    }
    // Taken from the front without moving the rest each time.
    if (head > 1024 && head * 2 > queue.length) {
      queue = queue.slice(head)
      head = 0
    }
  }

  return {
    get: (slots, index) => {
      const cached = slots[index]
      if (cached === undefined) return undefined
      cached.used = true
      return cached
    },
    admits: (lengthBytes) => sizeBytes + lengthBytes <= bytesMax || ++misses % missesPerAdmission === 0,
    put: (slots, index, bytes) => {
      if (slots[index] !== undefined) return
      const cached = { bytes, used: false, slots, index }
      slots[index] = cached
      queue.push(cached)
      sizeBytes += bytes.length
      evict()
    },
    sizeBytes: () => sizeBytes
  }
}
