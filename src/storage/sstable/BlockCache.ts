/**
 * Blocks that were read lately, within a bound of bytes, in memory of the cache's own.
 *
 * A block is found through its table's own array, one read, because every look-up of a stored key comes by here. When
 * the bound is reached, second chance decides which block goes: the oldest one that nobody used since it was looked at.
 * Long before, a block goes that nobody has used for a while: newer tables often hold newer cells of all its keys.
 *
 * Memory is cut from slabs, because making some for each block costs more than reading and checking it. A slab is never
 * used again, since readers may still hold parts of it: it is freed when nobody does. When less than three quarters of
 * one are in use, what is left is moved and the slab goes. A merge makes thousands of blocks useless at once, so slabs
 * wait in a list and are cleaned one with each put and some each second: no request waits for all of them.
 *
 * Invariant
 * - The cache takes at most a third more than its bound, and the slab that is being filled: a put makes at most one slab
 *   and cleans one of those that wait.
 *
 * Sources: Corbató, "A Paging Experiment with the Multics System" (1968); for the slabs, the cleaner of Rumble et al.,
 * "Log-structured Memory for DRAM-based Storage" (FAST 2014).
 */
import * as Bytes from "../../domain/bytes.ts"

const sinceChance = 1
const sinceAge = 2

/** The neighbours in the ring of all blocks: itself when alone or removed, so that it keeps no other in memory. */
export class CachedBlock {
  previous: CachedBlock = this
  next: CachedBlock = this
  /** Since when it was looked at: `sinceChance`, `sinceAge`, both or neither. */
  used = sinceAge
  bytes: Uint8Array
  slab: Slab
  readonly slots: BlockSlots
  readonly index: number

  constructor(bytes: Uint8Array, slab: Slab, slots: BlockSlots, index: number) {
    this.bytes = bytes
    this.slab = slab
    this.slots = slots
    this.index = index
  }
}

/** The cached blocks of one table, by block index. */
export type BlockSlots = Array<CachedBlock | undefined>

interface Slab {
  memory: Uint8Array
  usedBytes: number
  /** Of blocks that are still in the cache. */
  liveBytes: number
  /** Every block that was ever put here. */
  blocks: Array<CachedBlock>
  /** Waits to be cleaned. */
  isSparse: boolean
}

export interface BlockCache {
  readonly get: (slots: BlockSlots, index: number) => Uint8Array | undefined
  /** Whether a block that was just read should be kept. */
  readonly admits: (lengthBytes: number) => boolean
  /** Keeps a copy, and returns it. */
  readonly put: (slots: BlockSlots, index: number, bytes: Uint8Array) => Uint8Array
  /** Lets all blocks of a table go that nobody will read again. */
  readonly drop: (slots: BlockSlots) => void
  /** To be called once a second: drops blocks that nobody has used for half a minute to a minute, and cleans slabs. */
  readonly age: () => void
  readonly sizeBytes: () => number
  /** The memory behind it. */
  readonly heldBytes: () => number
}

/**
 * A full cache takes one of this many blocks that were missed: a block that is read often comes in soon, and one that
 * is read once pushes no other out. Each one that comes in moves some others and makes new memory, as much work as two
 * misses: with one of 8, random reads of eight times the cache took a quarter more processor time.
 */
const missesPerAdmission = 32

/** When every block was used, a search for one that was not would go through the whole cache at once. */
const chancesPerPutMax = 16

/**
 * Each block is looked at once in this time, so the rule costs at most one more read of each: of a full cache of 48
 * MiB 400 reads a second, which the system's page cache answers.
 */
const secondsUnused = 30

/** Some thirty blocks of the usual size. */
const slabBytes = 128 * 1024

/** Moving three blocks to get the memory of a fourth one costs less than reading that one did. */
const liveShareMin = 3 / 4

/** Some milliseconds of copying. */
const cleanedPerSecond = 64

/** Larger ones get a slab of their own, or too much of one would stay unused. */
const sharedBytesMax = slabBytes / 8

export const make = (bytesMax: number): BlockCache => {
  // A ring, because an iterator of a set keeps all that the set held when it grew, until the iterator moves on.
  /** The oldest block, the newest before it. */
  let oldest: CachedBlock | undefined
  /** The block whose age is looked at next, how many are left of this round, and how many are looked at in a second. */
  let ageing: CachedBlock | undefined
  let unaged = 0
  let agedPerSecond = 0
  let blocks = 0
  let sizeBytes = 0
  let heldBytes = 0
  let misses = 0

  const newSlab = (lengthBytes: number): Slab => {
    heldBytes += lengthBytes
    return { memory: Bytes.allocateOwn(lengthBytes), usedBytes: 0, liveBytes: 0, blocks: [], isSparse: false }
  }

  let current = newSlab(0)
  const sparse: Array<Slab> = []

  const slabFor = (lengthBytes: number): Slab => {
    if (lengthBytes > sharedBytesMax) return newSlab(lengthBytes)
    if (current.usedBytes + lengthBytes <= current.memory.length) return current
    const full = current
    current = newSlab(slabBytes)
    tellSparse(full)
    return current
  }

  const moveTo = (slab: Slab, block: CachedBlock) => {
    const { length } = block.bytes
    const part = slab.memory.subarray(slab.usedBytes, slab.usedBytes + length)
    part.set(block.bytes)
    slab.usedBytes += length
    slab.liveBytes += length
    slab.blocks.push(block)
    block.bytes = part
    block.slab = slab
  }

  const free = (slab: Slab) => {
    heldBytes -= slab.memory.length
    slab.memory = Bytes.none
    slab.blocks = []
  }

  /** Frees a slab that nothing is left in, or puts it on the list when too little is. */
  const tellSparse = (slab: Slab) => {
    if (slab === current) return
    if (slab.liveBytes === 0) return free(slab)
    if (slab.isSparse || slab.liveBytes >= liveShareMin * slab.memory.length) return
    slab.isSparse = true
    sparse.push(slab)
  }

  /** Moves what is left in slabs of the list, so that their memory can go. */
  const clean = (slabsMax: number) => {
    for (let count = 0; count < slabsMax; count++) {
      const slab = sparse.pop()
      if (slab === undefined) return
      for (const block of slab.blocks) {
        if (block.slab === slab && block.slots[block.index] === block) moveTo(slabFor(block.bytes.length), block)
      }
      free(slab)
    }
  }

  const link = (block: CachedBlock) => {
    blocks++
    if (oldest === undefined) {
      oldest = block
      ageing = block
      return
    }
    block.next = oldest
    block.previous = oldest.previous
    oldest.previous.next = block
    oldest.previous = block
  }

  const unlink = (block: CachedBlock) => {
    blocks--
    const { next, previous } = block
    if (oldest === block) oldest = next === block ? undefined : next
    if (ageing === block) ageing = next === block ? undefined : next
    previous.next = next
    next.previous = previous
    block.next = block
    block.previous = block
  }

  const remove = (block: CachedBlock) => {
    unlink(block)
    block.slots[block.index] = undefined
    sizeBytes -= block.bytes.length
    block.slab.liveBytes -= block.bytes.length
    tellSparse(block.slab)
  }

  const evict = () => {
    let chances = chancesPerPutMax
    while (sizeBytes > bytesMax && oldest !== undefined) {
      if ((oldest.used & sinceChance) !== 0 && chances-- > 0) {
        oldest.used &= ~sinceChance
        oldest = oldest.next
      } else remove(oldest)
    }
  }

  return {
    get: (slots, index) => {
      const cached = slots[index]
      if (cached === undefined) return undefined
      cached.used = sinceChance | sinceAge
      return cached.bytes
    },
    admits: (lengthBytes) => sizeBytes + lengthBytes <= bytesMax || ++misses % missesPerAdmission === 0,
    put: (slots, index, bytes) => {
      const known = slots[index]
      if (known !== undefined) return known.bytes
      const slab = slabFor(bytes.length)
      const block = new CachedBlock(bytes, slab, slots, index)
      moveTo(slab, block)
      slots[index] = block
      link(block)
      sizeBytes += bytes.length
      evict()
      clean(1)
      return block.bytes
    },
    drop: (slots) => {
      for (const block of slots) {
        if (block !== undefined) remove(block)
      }
    },
    age: () => {
      if (unaged <= 0) {
        unaged = blocks
        agedPerSecond = Math.ceil(blocks / secondsUnused)
      }
      for (let count = 0; count < agedPerSecond && unaged > 0 && ageing !== undefined; count++) {
        const block = ageing
        ageing = block.next
        unaged = Math.min(unaged - 1, blocks)
        if ((block.used & sinceAge) === 0) remove(block)
        else block.used &= ~sinceAge
      }
      clean(cleanedPerSecond)
    },
    sizeBytes: () => sizeBytes,
    heldBytes: () => heldBytes
  }
}
