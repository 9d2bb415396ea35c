/**
 * Things with keys, kept in sorted runs while they come in any order: short runs are sorted as they fill up, and two
 * neighbours are merged as soon as the later one is half as long, up to a length. So there are few runs, each thing is
 * moved once for each doubling, and no step holds the event loop for more than some milliseconds.
 *
 * Invariant
 * - A run is never changed, so a reader can go on reading it.
 *
 * Source: Bentley and Saxe, "Decomposable Searching Problems I: Static-to-Dynamic Transformation" (1980), section 2.
 */
import { Effect } from "effect"
import { compare, hasSurrogates, isBasic } from "../../domain/Key.ts"

interface Keyed {
  readonly key: string
}

export type Run<T extends Keyed> = ReadonlyArray<T>

export interface SortedRuns<T extends Keyed> {
  /** In the order in which they came; behind those of full length the longest first. */
  readonly runs: Array<Run<T>>
  /** Came last, not sorted yet. */
  recent: Array<T>
  /** Whether some key orders differently by its bytes and by its UTF-16 units. */
  hasSurrogates: boolean
}

/** Sorted in about a millisecond. */
const recentMax = 2048

/** Merged in about a millisecond. */
const mergeSlice = 4096

/** How long a run may become while things are added: its merge is one step. */
const runMax = 4 * mergeSlice

type IsBefore = (left: string, right: string) => boolean

const byBytes: IsBefore = (left, right) => compare(left, right) < 0

/** The same order for keys without surrogates, which few keys have, in a third of the time. */
const byUnits: IsBefore = (left, right) => left < right

export const make = <T extends Keyed>(): SortedRuns<T> => ({ runs: [], recent: [], hasSurrogates: false })

/** Takes one whose key it does not have. */
export const add = <T extends Keyed>(sorted: SortedRuns<T>, one: T): void => {
  sorted.recent.push(one)
  if (sorted.recent.length >= recentMax) seal(sorted)
}

/** All that was added so far, as runs. */
export const sealed = <T extends Keyed>(sorted: SortedRuns<T>): ReadonlyArray<Run<T>> => {
  if (sorted.recent.length > 0) seal(sorted)
  return sorted.runs.slice()
}

const seal = <T extends Keyed>(sorted: SortedRuns<T>): void => {
  const { recent, runs } = sorted
  sorted.recent = []
  sorted.hasSurrogates ||= recent.some(({ key }) => hasSurrogates(key))
  const isBefore = orderOf(sorted)
  // No two keys are equal.
  runs.push(recent.sort((left, right) => isBefore(left.key, right.key) ? -1 : 1))
  while (runs.length > 1 && 2 * runs.at(-1)!.length >= runs.at(-2)!.length) {
    if (runs.at(-1)!.length + runs.at(-2)!.length > runMax) return
    const right = runs.pop()!
    const left = runs.pop()!
    const merged = new Array<T>(left.length + right.length)
    finish(merging(left, right, merged, isBefore, Number.POSITIVE_INFINITY))
    runs.push(merged)
  }
}

const orderOf = <T extends Keyed>(sorted: SortedRuns<T>): IsBefore => sorted.hasSurrogates ? byBytes : byUnits

/** Everything in one run; others get their turn meanwhile. */
export const inOne = Effect.fnUntraced(function*<T extends Keyed>(sorted: SortedRuns<T>) {
  let runs = sealed(sorted)
  const isBefore = orderOf(sorted)
  while (runs.length > 1) {
    const longer: Array<Run<T>> = []
    for (let index = 0; index < runs.length; index += 2) {
      const left = runs[index]!
      const right = runs[index + 1] ?? []
      const merged = new Array<T>(left.length + right.length)
      for (const step = merging(left, right, merged, isBefore, mergeSlice); !step.next().done;) yield* Effect.yieldNow
      longer.push(merged)
    }
    runs = longer
  }
  return runs[0] ?? []
})

/** Merges two runs into `target`, and pauses after each slice. */
function* merging<T extends Keyed>(left: Run<T>, right: Run<T>, target: Array<T>, isBefore: IsBefore, slice: number) {
  let fromLeft = 0
  let fromRight = 0
  for (let index = 0; index < target.length; index++) {
    const takeLeft = fromRight === right.length ||
      (fromLeft < left.length && isBefore(left[fromLeft]!.key, right[fromRight]!.key))
    target[index] = takeLeft ? left[fromLeft++]! : right[fromRight++]!
    if (index % slice === slice - 1) yield
  }
}

const finish = (steps: Generator<void>): void => {
  while (!steps.next().done);
}

/** The first place in a run whose key is not below `key`. */
export const firstNotBelow = <T extends Keyed>(run: Run<T>, key: string): number => {
  const isBefore = isBasic(key) ? byUnits : byBytes
  let low = 0
  let high = run.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isBefore(run[middle]!.key, key)) low = middle + 1
    else high = middle
  }
  return low
}
