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
export const bitsPerKey = 10
const probes = 7

/** Two independent hashes of 32 bits. Reused by the caller: `hash` writes into it. */
export interface KeyHash {
  first: number
  second: number
}

export interface Bloom {
  readonly bits: Uint8Array
  readonly bitCount: number
}

export const make = (keyCount: number): Bloom => {
  const bytes = Math.max(8, Math.ceil((keyCount * bitsPerKey) / 8))
  return { bits: new Uint8Array(bytes), bitCount: bytes * 8 }
}

export const fromBits = (bits: Uint8Array): Bloom => ({ bits, bitCount: bits.length * 8 })

export const hash = (key: string): KeyHash => {
  let first = 0x9747b28c
  let second = 0x3c6ef372
  for (let index = 0; index < key.length; index++) {
    const unit = key.charCodeAt(index)
    first = Math.imul(first ^ unit, 0xcc9e2d51)
    first = (first << 15) | (first >>> 17)
    second = Math.imul(second ^ unit, 0x1b873593)
    second = (second << 13) | (second >>> 19)
  }
  return { first: finalise(first ^ key.length), second: finalise(second + key.length) | 1 }
}

export const add = ({ bitCount, bits }: Bloom, { first, second }: KeyHash): void => {
  let position = first
  for (let probe = 0; probe < probes; probe++) {
    const bit = (position >>> 0) % bitCount
    bits[bit >>> 3] = bits[bit >>> 3]! | (1 << (bit & 7))
    position = (position + second) | 0
  }
}

export const admits = ({ bitCount, bits }: Bloom, { first, second }: KeyHash): boolean => {
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
