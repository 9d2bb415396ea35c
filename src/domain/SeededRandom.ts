/**
 * Random numbers from one seed, the same in every run: for the simulator, the load generator, benches and tests.
 *
 * Pure. Source: Guy Steele, Doug Lea, Christine Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014),
 * in the 32-bit form known as mulberry32.
 */

export interface SeededRandom {
  /** In [0, 1). */
  readonly next: () => number
  /** A whole number in [0, below). */
  readonly below: (below: number) => number
  readonly between: (least: number, most: number) => number
  readonly chance: (share: number) => boolean
  readonly pick: <A>(items: ReadonlyArray<A>) => A
  /** An independent stream, the same for the same label: drawing more in one place changes nothing elsewhere. */
  readonly fork: (label: string) => SeededRandom
}

/** The seed is hashed first, since neighbouring seeds must not give neighbouring streams. */
export const make = (seed: number): SeededRandom => {
  const origin = mix(seed)
  const next = mulberry32(origin)
  const below = (limit: number) => Math.floor(next() * limit)
  return {
    next,
    below,
    between: (least, most) => least + next() * (most - least),
    chance: (share) => next() < share,
    pick: (items) => items[below(items.length)]!,
    fork: (label) => {
      let forked = origin
      for (let index = 0; index < label.length; index++) forked = mix(forked ^ label.charCodeAt(index))
      return make(forked)
    }
  }
}

/** Draws from [0, 1), without a hash of the seed. */
export const mulberry32 = (seed: number): () => number => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

const letters = "abcdefghijklmnopqrstuvwxyz0123456789"

export const text = ({ below }: SeededRandom, length: number): string => {
  let drawn = ""
  for (let index = 0; index < length; index++) drawn += letters[below(letters.length)]
  return drawn
}

/** The finaliser of MurmurHash3. */
const mix = (value: number): number => {
  let mixed = (value + 0x9e3779b9) >>> 0
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
