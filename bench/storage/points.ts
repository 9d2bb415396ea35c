/** Workloads of single operations: the operation, how many in flight, and the keys. Pure. */
import type * as SeededRandom from "../../src/domain/SeededRandom.ts"
import { keyOf, missingKeyOf } from "./cells.ts"
import * as Load from "./Load.ts"
import type { WorkloadName } from "./workloads.ts"

export type KeyOf = (draw: SeededRandom.SeededRandom, cells: number) => string

/** About as many as the front page of a busy site reads. */
const hotKeys = 64
/** Far more keys than writes, so nearly every key is new. */
const newKeys = 2 ** 30

export const anyKey: KeyOf = (draw, cells) => keyOf(draw.below(cells))
const missingKey: KeyOf = (draw, cells) => missingKeyOf(draw.below(cells))
/** Spread over the key space, each key in another block. */
const hotKey: KeyOf = (draw, cells) => keyOf(Math.floor(draw.below(hotKeys) * cells / hotKeys))
/** A scan from here finds its hundred cells before the end. */
const scanKey: KeyOf = (draw, cells) => keyOf(draw.below(Math.max(1, cells - Load.scanCells)))
export const newKey: KeyOf = (draw) => keyOf(draw.below(newKeys))

export interface Point {
  readonly name: WorkloadName
  readonly operation: Load.Operation
  readonly inFlight: number
  readonly key: KeyOf
  /** Cells that every operation must find or write; any other number is an error of the benchmark. */
  readonly found: number
}

/** For a store filled with `cells`. */
export const reads = (inFlight: number, cells: number): ReadonlyArray<Point> => {
  const inScan = Math.min(Load.scanCells, cells)
  return [
    { name: "read-random", operation: "get", inFlight, key: anyKey, found: 1 },
    { name: "read-single", operation: "get", inFlight: 1, key: anyKey, found: 1 },
    { name: "read-hot", operation: "get", inFlight, key: hotKey, found: 1 },
    { name: "read-missing", operation: "get", inFlight, key: missingKey, found: 0 },
    { name: "scan", operation: "scan", inFlight, key: scanKey, found: inScan },
    { name: "scan-single", operation: "scan", inFlight: 1, key: scanKey, found: inScan }
  ]
}

export const writes = (inFlight: number): ReadonlyArray<Point> => [
  { name: "put-single", operation: "put", inFlight: 1, key: anyKey, found: 1 },
  { name: "overwrite", operation: "put", inFlight, key: anyKey, found: 1 }
]

/** For a separate store, which syncs. */
export const syncedWrites: ReadonlyArray<Point> = [
  { name: "fill-synced-32", operation: "put", inFlight: 32, key: newKey, found: 1 },
  { name: "fill-synced-128", operation: "put", inFlight: 128, key: newKey, found: 1 }
]
