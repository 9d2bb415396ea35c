/** How long the operations of a node's disk take, so that a crash falls between them; and the disk can be slow. */
import { Duration, Effect } from "effect"
import type { Operation } from "../disk/DiskMemory.ts"
import type { SeededRandom } from "../domain/SeededRandom.ts"

export interface Speed {
  /** How many times slower than usual. */
  factor: number
}

const append = [0, 0.1] as const
const sync = [0.2, 3] as const
const read = [0.02, 0.2] as const
const names = [0.05, 1] as const

/** Milliseconds of an ordinary SSD: a sync takes one or two, a write into the page cache next to nothing. */
const millis: Partial<Record<Operation, readonly [least: number, most: number]>> = {
  append,
  sync,
  truncate: sync,
  syncDirectory: sync,
  readFile: read,
  openRead: read,
  read,
  openAppend: names,
  link: names,
  rename: names,
  remove: names
}

export const latency = (random: SeededRandom, speed: Speed) => (operation: Operation): Effect.Effect<void> => {
  const range = millis[operation]
  return range === undefined
    ? Effect.void
    : Effect.sleep(Duration.millis(speed.factor * random.between(...range)))
}
