/** Random numbers from one seed, in independent streams, so that drawing more in one place changes nothing elsewhere. */

export interface SeededRandom {
  /** In [0, 1). */
  readonly next: () => number
  /** A whole number in [0, below). */
  readonly below: (below: number) => number
  readonly between: (least: number, most: number) => number
  readonly chance: (share: number) => boolean
  readonly pick: <A>(items: ReadonlyArray<A>) => A
  /** A stream of its own, the same for the same label. */
  readonly fork: (label: string) => SeededRandom
}

/** Mulberry32, seeded through a multiplicative hash, since neighbouring seeds must not give neighbouring streams. */
export const make = (seed: number): SeededRandom => {
  const origin = mix(seed)
  let state = origin
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
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

/** The finaliser of MurmurHash3. */
const mix = (value: number): number => {
  let mixed = (value + 0x9e3779b9) >>> 0
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
