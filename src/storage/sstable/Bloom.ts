/**
 * A Bloom filter: tells for most absent keys, without a read, that a table does not hold them.
 *
 * Pure. A key is hashed once and the hash asked of every table's filter.
 * Source: Kirsch and Mitzenmacher, "Less Hashing, Same Performance: Building a Better Bloom Filter" (2006): all probes
 * from two hashes. The hash is MurmurHash3's mixing and finalising steps over UTF-16 units, in two lanes.
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

export interface Bloom {
  readonly bits: Uint8Array
  readonly bitCount: number
  readonly probes: number
}

export const make = (keyCount: number, bitsPerKey = bitsPerKeyDefault): Bloom => {
  const bytes = Math.max(8, Math.ceil((keyCount * bitsPerKey) / 8))
  return fromBits(new Uint8Array(bytes), probesFor(bitsPerKey))
}

/** The number of probes that lets the fewest through: the number of bits a key times ln 2. */
export const probesFor = (bitsPerKey: number): number =>
  Math.min(probesMax, Math.max(1, Math.round(bitsPerKey * Math.LN2)))

export const fromBits = (bits: Uint8Array, probes: number): Bloom => ({ bits, bitCount: bits.length * 8, probes })

const seedFirst = 0x9747b28c | 0
const seedSecond = 0x3c6ef372

export const hash = (key: string): KeyHash => {
  let first = seedFirst
  let second = seedSecond
  for (let index = 0; index < key.length; index++) {
    const unit = key.charCodeAt(index)
    first = Math.imul(first ^ unit, 0xcc9e2d51)
    first = (first << 15) | (first >>> 17)
    second = Math.imul(second ^ unit, 0x1b873593)
    second = (second << 13) | (second >>> 19)
  }
  return { first: finalise(first ^ key.length), second: finalise(second + key.length) | 1 }
}

/** The same of a key whose bytes are ASCII, without making a text of them. */
export const hashAscii = (bytes: Buffer, start: number, end: number): KeyHash => {
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

export const addHash = ({ bitCount, bits, probes }: Bloom, first: number, second: number): void => {
  let position = first
  for (let probe = 0; probe < probes; probe++) {
    const bit = (position >>> 0) % bitCount
    bits[bit >>> 3] = bits[bit >>> 3]! | (1 << (bit & 7))
    position = (position + second) | 0
  }
}

export const admits = ({ bitCount, bits, probes }: Bloom, { first, second }: KeyHash): boolean => {
  let position = first
  for (let probe = 0; probe < probes; probe++) {
    const bit = (position >>> 0) % bitCount
    if ((bits[bit >>> 3]! & (1 << (bit & 7))) === 0) return false
    position = (position + second) | 0
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
