/**
 * A Bloom filter: tells for most absent keys, without a read, that a table does not hold them.
 *
 * Pure. A key is hashed once and the hash asked of every table's filter.
 * Source: Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom Filters" (2007), section 3, for the
 * blocks; Kirsch and Mitzenmacher, "Less Hashing, Same Performance: Building a Better Bloom Filter" (2006), for all
 * probes from two hashes. The hash is MurmurHash3's mixing and finalising steps over UTF-16 units, in two lanes.
 *
 * Invariants
 * - A key that was added is always admitted.
 */

/** 10 bits and 7 probes a key let about 1 of 100 absent keys through. */
export const bitsPerKeyDefault = 10

const probesMax = 30

/** Two independent hashes of 32 bits. */
export interface KeyHash {
  readonly first: number
  readonly second: number
}

/** The properties of a key that a look-up computes once, before it asks the first table. */
export interface KeyProbe extends KeyHash {
  /** Whether JavaScript's `<` orders it among all keys as their bytes do: see `Key.compare`. */
  readonly isBasic: boolean
}

/** Below the surrogates, units and bytes are in the same order. */
const basicUnitEnd = 0xd800

/** All bits of a key lie in one block of 512, so a look-up touches one cache line. */
export interface Bloom {
  readonly bits: Uint8Array
  readonly probes: number
}

export const make = (keyCount: number, bitsPerKey = bitsPerKeyDefault): Bloom => {
  const blocks = Math.max(1, Math.ceil((keyCount * bitsPerKey) / blockBits))
  return { bits: new Uint8Array(blocks * blockBytes), probes: probesFor(bitsPerKey) }
}

/** The number of probes that lets the fewest through: the number of bits a key times ln 2. */
const probesFor = (bitsPerKey: number): number => Math.min(probesMax, Math.max(1, Math.round(bitsPerKey * Math.LN2)))

const blockBits = 512
const blockBytes = blockBits / 8
/** Makes the next probe of the one before, whose highest nine bits say which bit of the block it is. */
const probeFactor = 0x9e3779b1
const toBit = 32 - 9

const seedFirst = 0x9747b28c | 0
const seedSecond = 0x3c6ef372

export const hash = (key: string): KeyProbe => {
  let first = seedFirst
  let second = seedSecond
  let isBasic = true
  for (let index = 0; index < key.length; index++) {
    const unit = key.charCodeAt(index)
    if (unit >= basicUnitEnd) isBasic = false
    first = Math.imul(first ^ unit, 0xcc9e2d51)
    first = (first << 15) | (first >>> 17)
    second = Math.imul(second ^ unit, 0x1b873593)
    second = (second << 13) | (second >>> 19)
  }
  return { first: finalise(first ^ key.length), second: finalise(second + key.length) | 1, isBasic }
}

/** The same of a key whose bytes are ASCII, without making a text of them. */
export const hashAscii = (bytes: Uint8Array, start: number, end: number): KeyHash => {
  let first = seedFirst
  let second = seedSecond
  for (let index = start; index < end; index++) {
    const unit = bytes[index]!
    first = Math.imul(first ^ unit, 0xcc9e2d51)
    first = (first << 15) | (first >>> 17)
    second = Math.imul(second ^ unit, 0x1b873593)
    second = (second << 13) | (second >>> 19)
  }
  return { first: finalise(first ^ (end - start)), second: finalise(second + (end - start)) | 1 }
}

export const add = (bloom: Bloom, { first, second }: KeyHash): void => addHash(bloom, first, second)

export const addHash = ({ bits, probes }: Bloom, first: number, second: number): void => {
  const start = blockOf(bits, first)
  let position = second
  for (let probe = 0; probe < probes; probe++) {
    position = Math.imul(position, probeFactor)
    const bit = position >>> toBit
    const byte = start + (bit >>> 3)
    bits[byte] = bits[byte]! | (1 << (bit & 7))
  }
}

const blockOf = (bits: Uint8Array, first: number): number => ((first >>> 0) % (bits.length / blockBytes)) * blockBytes

export const admits = ({ bits, probes }: Bloom, { first, second }: KeyHash): boolean => {
  const start = blockOf(bits, first)
  let position = second
  for (let probe = 0; probe < probes; probe++) {
    position = Math.imul(position, probeFactor)
    const bit = position >>> toBit
    if ((bits[start + (bit >>> 3)]! & (1 << (bit & 7))) === 0) return false
  }
  return true
}

const finalise = (lane: number): number => {
  let mixed = lane ^ (lane >>> 16)
  mixed = Math.imul(mixed, 0x85ebca6b)
  mixed ^= mixed >>> 13
  mixed = Math.imul(mixed, 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}
