/**
 * Random numbers of the load generator: equal seeds draw equal keys, so that two systems are measured with the same
 * requests in the same order.
 *
 * Source: Guy Steele, Doug Lea, Christine Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014), in
 * the 32-bit form known as mulberry32.
 */

/** Draws integers from 0 up to, not including, `bound`. */
export type SeededRandom = (bound: number) => number

export const make = (seed: number): SeededRandom => {
  let state = seed >>> 0
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000) * bound)
  }
}

const letters = "abcdefghijklmnopqrstuvwxyz0123456789"

export const text = (random: SeededRandom, length: number): string => {
  let drawn = ""
  for (let index = 0; index < length; index++) drawn += letters[random(letters.length)]
  return drawn
}

/** Distinct keys of 20 letters. */
export const keys = (random: SeededRandom, count: number): ReadonlyArray<string> => {
  const drawn = new Set<string>()
  while (drawn.size < count) drawn.add(`bench/${text(random, 14)}`)
  return Array.from(drawn)
}
