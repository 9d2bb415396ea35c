/**
 * Sorts many cells by key without holding the event loop: 100,000 cells take some 60 ms in one go, in which no request
 * would be answered.
 *
 * Bottom-up merge sort: short runs by the engine's own sort, then passes of merges, with a yield after each slice of
 * work, however many merges that was.
 */
import { Effect } from "effect"
import type { Cell } from "../../domain/Cell.ts"
import { compare, hasSurrogates } from "../../domain/Key.ts"

/** Sorted in about a millisecond. */
const runLength = 2048

/** Merged in about a millisecond. */
const mergeSlice = 4096

type Order = (left: Cell, right: Cell) => number

const byKey: Order = (left, right) => compare(left.key, right.key)

/** The same order for keys without surrogates, which few keys have, in a third of the time. */
const byUnits: Order = (left, right) => left.key < right.key ? -1 : left.key === right.key ? 0 : 1

export const sortCells = Effect.fnUntraced(function*(cells: ReadonlyArray<Cell>) {
  let order = byUnits
  let sorted: Array<Cell> = []
  for (let start = 0; start < cells.length; start += runLength) {
    if (start > 0) yield* Effect.yieldNow
    const run = cells.slice(start, start + runLength)
    if (run.some(({ key }) => hasSurrogates(key))) order = byKey
    for (const cell of run.sort(order)) sorted.push(cell)
  }
  let merged = new Array<Cell>(sorted.length)
  for (let length = runLength; length < sorted.length; length *= 2) {
    for (const merging = mergePass(sorted, merged, length, order); !merging.next().done;) yield* Effect.yieldNow
    const free = sorted
    sorted = merged
    merged = free
  }
  return sorted
})

/** Merges pairs of neighbouring runs, and pauses after each slice. */
function* mergePass(source: ReadonlyArray<Cell>, target: Array<Cell>, length: number, order: Order) {
  for (let start = 0; start < source.length; start += 2 * length) {
    const middle = Math.min(start + length, source.length)
    const end = Math.min(start + 2 * length, source.length)
    let left = start
    let right = middle
    for (let index = start; index < end; index++) {
      const takeLeft = right === end || (left < middle && order(source[left]!, source[right]!) <= 0)
      target[index] = takeLeft ? source[left++]! : source[right++]!
      if (index % mergeSlice === mergeSlice - 1) yield
    }
  }
}
