/**
 * Sorts many cells by key without holding the event loop: 75,000 cells take some 50 ms in one go, in which no request
 * would be answered.
 *
 * Bottom-up merge sort: short runs by the engine's own sort, then passes of merges, with a yield after each slice.
 */
import { Effect } from "effect"
import type { Cell } from "../../domain/Cell.ts"
import { compare } from "../../domain/Key.ts"

/** Sorted in about a millisecond. */
const runLength = 2048

/** Merged in about two milliseconds. */
const mergeSlice = 16_384

const byKey = (left: Cell, right: Cell) => compare(left.key, right.key)

export const sortCells = Effect.fnUntraced(function*(cells: ReadonlyArray<Cell>) {
  let runs: Array<ReadonlyArray<Cell>> = []
  for (let start = 0; start < cells.length; start += runLength) {
    if (start > 0) yield* Effect.yieldNow
    runs.push(cells.slice(start, start + runLength).sort(byKey))
  }
  while (runs.length > 1) {
    const merged: Array<ReadonlyArray<Cell>> = []
    for (let index = 0; index < runs.length; index += 2) {
      const right = runs[index + 1]
      merged.push(right === undefined ? runs[index]! : yield* mergeRuns(runs[index]!, right))
    }
    runs = merged
  }
  return runs[0] ?? []
})

const mergeRuns = Effect.fnUntraced(function*(left: ReadonlyArray<Cell>, right: ReadonlyArray<Cell>) {
  const merged = new Array<Cell>(left.length + right.length)
  let fromLeft = 0
  let fromRight = 0
  for (let index = 0; index < merged.length; index++) {
    if (index % mergeSlice === mergeSlice - 1) yield* Effect.yieldNow
    const takeLeft = fromRight === right.length ||
      (fromLeft < left.length && byKey(left[fromLeft]!, right[fromRight]!) <= 0)
    merged[index] = takeLeft ? left[fromLeft++]! : right[fromRight++]!
  }
  return merged
})
