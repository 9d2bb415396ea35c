/**
 * Draws keys, a sequence of requests, and what disturbs it, from one seed.
 *
 * Pure.
 */
import * as CellModule from "../../src/domain/cell/Cell.ts"
import * as SeededRandom from "../../src/domain/SeededRandom.ts"
import {
  cellOf,
  type Disturbance,
  isTombstone,
  type Operation,
  type Range,
  type Request,
  type Stamp
} from "./Operation.ts"
import type { Disturb } from "./Settings.ts"

type Random = SeededRandom.SeededRandom

/**
 * Letters that JSON, byte order or UTF-16 treat specially, and both ends of the ranges that UTF-16 orders otherwise.
 */
const letters = [..."ab/\"\\\n{}\u0000\u0001\u007fü\u2028\ud7ff\ue000\uffee\uffff\u{10000}\u{1F600}\u{10ffff}"]

const slots = 4

export interface Sequence {
  readonly keys: ReadonlyArray<string>
  readonly requests: ReadonlyArray<Request>
}

export const sequence = (seed: number, length: number): Sequence => {
  const random = SeededRandom.make(seed)
  const keys = keysOf(random.fork("keys"))
  const draw = drawing(random.fork("requests"), keys)
  return { keys, requests: Array.from({ length }, draw) }
}

/** Few keys cause overwrites; many cause several tables and levels. */
const keysOf = (random: Random): ReadonlyArray<string> => {
  const count = random.pick([5, 30, 30, 120])
  const few = Array.from({ length: random.pick([2, 4, letters.length]) }, () => random.pick(letters))
  const long = random.pick(["p".repeat(900), "\u{1F600}".repeat(200), "same/".repeat(20)])
  const keys = new Set<string>()
  while (keys.size < count) {
    const word = Array.from({ length: 1 + random.below(5) }, () => random.pick(few)).join("")
    const text = random.chance(0.2) ? long + word : random.chance(0.3) ? `n${random.below(200)}${word}` : word
    keys.add(text)
  }
  return Array.from(keys)
}

/** Each sequence scales the weights by itself. */
const mixture = (random: Random) => {
  const weights: ReadonlyArray<readonly [Request["_tag"], number]> = [
    ["apply", 40],
    ["get", 15],
    ["version", 4],
    ["scan", 6],
    ["open stream", 2],
    ["pull", 4],
    ["close stream", 1],
    ["open view", 2],
    ["close view", 1],
    ["view get", 5],
    ["open cursor", 4],
    ["next", 10],
    ["seek", 4],
    ["flush", 2],
    ["compact", 0.5],
    ["verify", 0.2],
    ["snapshot", 0.3]
  ]
  const drawn = weights.map(([tag, weight]) => [tag, weight * random.between(0.2, 2)] as const)
  const total = drawn.reduce((sum, [, weight]) => sum + weight, 0)
  return () => {
    let left = random.next() * total
    return drawn.find(([, weight]) => (left -= weight) < 0)?.[0] ?? "get"
  }
}

const drawing = (random: Random, keys: ReadonlyArray<string>) => {
  const pickTag = mixture(random)
  const pickStamp = stamps(random, keys)
  const deletes = random.pick([0, 0, 0.02, 0.1])
  const slot = () => random.below(slots)
  return (): Request => {
    const _tag = pickTag()
    switch (_tag) {
      case "apply": {
        if (random.chance(deletes)) return { _tag, calls: [pickStamp.deletions()] }
        const calls = random.chance(0.15) ? 2 + random.below(6) : 1
        const cells = () => random.chance(0.7) ? 1 : random.below(random.chance(0.1) ? 60 : 6)
        return { _tag, calls: Array.from({ length: calls }, () => Array.from({ length: cells() }, pickStamp.any)) }
      }
      case "get":
      case "version":
        return { _tag, key: random.pick(keys) }
      case "scan":
        return random.chance(0.5)
          ? { _tag, range: rangeOf(random, keys) }
          : { _tag, range: rangeOf(random, keys), limit: random.below(10) }
      case "open stream":
        return { _tag, slot: slot(), range: rangeOf(random, keys) }
      case "view get":
        return { _tag, slot: slot(), key: random.pick(keys) }
      case "open cursor":
        return { _tag, slot: slot(), view: slot(), range: rangeOf(random, keys) }
      case "next":
        return { _tag, slot: slot(), count: random.pick([1, 1, 2, 5, 20, 1000]) }
      case "seek":
        return { _tag, slot: slot(), key: boundOf(random, keys) }
      case "pull":
      case "close stream":
      case "open view":
      case "close view":
        return { _tag, slot: slot() }
      case "flush":
      case "compact":
      case "verify":
      case "snapshot":
        return { _tag }
    }
  }
}

/** Versions relative to the key's newest one so far: newer, the same, or older. */
const stamps = (random: Random, keys: ReadonlyArray<string>) => {
  const newest = new Map<string, Stamp>()
  let counterMax = 0
  const remember = (stamp: Stamp) => {
    const before = newest.get(stamp.key)
    if (before === undefined || CellModule.compare(cellOf(stamp), cellOf(before)) > 0) newest.set(stamp.key, stamp)
    counterMax = Math.max(counterMax, stamp.counter)
    return stamp
  }
  const newer = (key: string, jump: number): Stamp =>
    remember({ key, counter: counterMax + 1 + random.below(jump), node: 1 + random.below(2) })
  const any = (): Stamp => {
    const key = random.pick(keys)
    const before = newest.get(key)
    if (before === undefined || random.chance(0.7)) return newer(key, random.chance(0.01) ? 1_000_000 : 3)
    if (random.chance(0.4)) return before
    if (random.chance(0.3)) return remember({ ...before, node: 3 - before.node })
    return remember({ key, counter: 1 + random.below(before.counter), node: 1 + random.below(2) })
  }
  const deletion = (key: string): Stamp => {
    for (let jump = 0;; jump++) {
      const stamp = { key, counter: counterMax + 1 + jump, node: 1 }
      if (isTombstone(stamp)) return remember(stamp)
    }
  }
  return { any, deletions: () => keys.filter(() => random.chance(0.7)).map(deletion) }
}

/** A key, or a text near one. */
const boundOf = (random: Random, keys: ReadonlyArray<string>): string => {
  const key = random.pick(keys)
  const letter = random.pick(letters)
  return random.pick([key, key, `${key}${letter}`, letter, Array.from(key).slice(0, -1).join(""), ""])
}

const rangeOf = (random: Random, keys: ReadonlyArray<string>): Range => ({
  ...(random.chance(0.4) ? { from: boundOf(random, keys) } : {}),
  ...(random.chance(0.4) ? { to: boundOf(random, keys) } : {}),
  ...(random.chance(0.3) ? { prefix: prefixOf(random, keys) } : {}),
  ...(random.chance(0.5) ? { reverse: random.chance(0.9) } : {}),
  ...(random.chance(0.4) ? { tombstones: random.chance(0.1) } : {})
})

const prefixOf = (random: Random, keys: ReadonlyArray<string>): string => {
  const characters = Array.from(boundOf(random, keys))
  return characters.slice(0, random.below(characters.length + 1)).join("")
}

/** Adds disturbances between the requests, which stay the same under all settings. */
export const disturbed = (
  requests: ReadonlyArray<Request>,
  seed: number,
  disturb: Disturb
): ReadonlyArray<Operation> => {
  const random = SeededRandom.make(seed).fork("disturbances")
  const operations: Array<Operation> = []
  for (const request of requests) {
    const disturbance = disturbanceOf(random, disturb)
    if (disturbance !== undefined) operations.push(disturbance)
    operations.push(request)
  }
  return operations
}

const disturbanceOf = (random: Random, disturb: Disturb): Disturbance | undefined => {
  if (random.chance(disturb.pause)) {
    return { _tag: "pause", turns: 1 + random.below(200), millis: random.pick([0, 0, 100, 1500]) }
  }
  if (random.chance(disturb.restart)) return { _tag: "restart" }
  if (!random.chance(disturb.crash)) return undefined
  const kill = disturb.onlyKill || random.chance(0.3)
  const again = random.chance(0.3) ? { againAt: 1 + random.below(30) } : {}
  return random.chance(0.5)
    ? { _tag: "crash", kill, ...again }
    : { _tag: "crash soon", kill, disk: 1 + random.below(40), ...again }
}
