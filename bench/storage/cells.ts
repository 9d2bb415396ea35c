/**
 * The keys and values: keys of 16 digits, and values of text that compresses to about half. They are the same in every
 * run and for both stores.
 *
 * Pure.
 */
import * as SeededRandom from "../../src/domain/SeededRandom.ts"

export const keyBytes = 16

/** Keys are this plus twice the index: all have 16 digits, and between any two is one that no store has. */
const firstKey = 1e15

export const keyOf = (index: number): string => String(firstKey + index * 2)

/** Between `keyOf(index)` and the next key, so only a filter or a block can tell that it is missing. */
export const missingKeyOf = (index: number): string => String(firstKey + index * 2 + 1)

const rounds = 4

/**
 * A permutation of the indices below `count` that looks random and needs no memory.
 *
 * Source: John Black, Phillip Rogaway, "Ciphers with Arbitrary Finite Domains" (CT-RSA 2002): a Feistel network over
 * the next larger power of four, repeated until the result is in range.
 */
export const permutation = (count: number, seed: number): (index: number) => number => {
  let halfBits = 1
  while (2 ** (2 * halfBits) < count) halfBits++
  const mask = 2 ** halfBits - 1
  const step = (index: number): number => {
    let left = Math.floor(index / (mask + 1))
    let right = index & mask
    for (let round = 0; round < rounds; round++) {
      const mixed = left ^ (mix(right + Math.imul(round + 1, 0x9e3779b9) + seed) & mask)
      left = right
      right = mixed
    }
    return left * (mask + 1) + right
  }
  return (index) => {
    // An index out of range may be on a cycle that never comes back into range.
    if (index < 0 || index >= count) throw new RangeError(`${index} is not below ${count}`)
    let at = step(index)
    while (at >= count) at = step(at)
    return at
  }
}

/** The finaliser of MurmurHash3. */
const mix = (bits: number): number => {
  let mixed = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

/** As long as the pieces of LevelDB's own `db_bench`. Half of each is random, the other half repeats it. */
const pieceBytes = 100
const poolBytes = 1024 * 1024

/** Successive values of one size, out of a text that is the same for both stores. */
export const values = (sizeBytes: number, seed: number): () => Buffer => {
  const random = SeededRandom.make(seed)
  let text = ""
  while (text.length < poolBytes) text += SeededRandom.text(random, pieceBytes / 2).repeat(2)
  const pool = Buffer.from(text, "latin1")
  let next = 0
  return () => {
    if (next + sizeBytes > pool.length) next = next % pieceBytes + 1
    const start = next
    next += sizeBytes
    // A copy, as if read from a socket: slices of one pool would understate the memory of the stores.
    return Buffer.from(pool.subarray(start, start + sizeBytes))
  }
}
