/** Workloads of single operations: which, how many at once, on which keys. Pure. */
import type * as SeededRandom from "../../src/domain/SeededRandom.ts"
import { keyOf, missingKeyOf } from "./cells.ts"
import * as Load from "./Load.ts"
import type { WorkloadName } from "./workloads.ts"

export type KeyOf = (draw: SeededRandom.SeededRandom, cells: number) => string

/** As many as a busy site's front page asks for. */
const hotKeys = 64
/** Far more keys than are written, so nearly each is new. */
const newKeys = 2 ** 30

export const anyKey: KeyOf = (draw, cells) => keyOf(draw.below(cells))
const missingKey: KeyOf = (draw, cells) => missingKeyOf(draw.below(cells))
/** Spread over the key space, each in another block. */
const hotKey: KeyOf = (draw, cells) => keyOf(Math.floor(draw.below(hotKeys) * cells / hotKeys))
/** A scan from here has its hundred cells before the last. */
const scanKey: KeyOf = (draw, cells) => keyOf(draw.below(Math.max(1, cells - Load.scanCells)))
export const newKey: KeyOf = (draw) => keyOf(draw.below(newKeys))

export interface Point {
  readonly name: WorkloadName
  readonly operation: Load.Operation
  readonly inFlight: number
  readonly key: KeyOf
  /** Cells that every operation has to find or write; anything else is an error of the benchmark. */
  readonly found: number
}

/** On a store that is filled with `cells`. */
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

/** On a store of their own, which syncs. */
export const syncedWrites: ReadonlyArray<Point> = [
  { name: "fill-synced-32", operation: "put", inFlight: 32, key: newKey, found: 1 },
  { name: "fill-synced-128", operation: "put", inFlight: 128, key: newKey, found: 1 }
]
