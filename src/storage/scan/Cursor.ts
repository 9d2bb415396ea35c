/**
 * Walks the cells of a view in key order, either way, page by page: the newest of each key.
 *
 * Invariants
 * - Its memory is a block or some of each sorted run, however many cells there are.
 * - It lets others have a turn after each slice of work, also when nothing of it is given out: a million tombstones
 *   that are passed over hold nobody up.
 */
import { Effect } from "effect"
import type { StorageError } from "../../disk/StorageError.ts"
import * as Cell from "../../domain/cell/Cell.ts"
import { compare } from "../../domain/Key.ts"
import * as Version from "../../domain/Version.ts"
import * as Holes from "../manifest/Holes.ts"
import { Merger, type Order } from "../merge/Merger.ts"
import type { Bound, CellSource } from "./CellSource.ts"

export interface ScanOptions {
  /** The first key, included, and the end, excluded. Default: all. */
  readonly from?: string
  readonly to?: string
  readonly prefix?: string
  /** From the last key to the first. */
  readonly reverse?: boolean
  /** `false` passes over them. Default: `true`. */
  readonly tombstones?: boolean
  /**
   * Where cells were lost to damage: fail, or give out what is left, which may be older than what was
   * acknowledged. Default: `fail`.
   */
  readonly damage?: "fail" | "skip"
}

export interface Cursor {
  /**
   * The next cells in order, at most `countMax`; sometimes fewer, but none only at the end. Values may be views of
   * blocks: nobody may change them.
   */
  readonly next: (countMax: number) => Effect.Effect<ReadonlyArray<Cell.Cell>, StorageError>
  /** Goes on at the key: forward at or above it, in reverse at or below it, within what the cursor walks. */
  readonly seek: (key: string) => Effect.Effect<void>
  /** Gives its memory back before the view ends. It must not be used any more. */
  readonly close: Effect.Effect<void>
}

/** The keys to walk: from the first, included, to an end, excluded. */
export interface Range {
  readonly from: string
  readonly to: string | undefined
}

export const rangeOf = ({ from = "", prefix = "", to }: ScanOptions): Range => {
  const prefixEnd = endOfPrefix(prefix)
  return {
    from: compare(from, prefix) < 0 ? prefix : from,
    to: to === undefined || (prefixEnd !== undefined && compare(prefixEnd, to) < 0) ? prefixEnd : to
  }
}

/** The first key above all that begin with the prefix; `undefined` when there is none. */
const endOfPrefix = (prefix: string): string | undefined => {
  const points = Array.from(prefix)
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    const point = last.codePointAt(0)!
    if (point < 0x10ffff) return points.join("") + String.fromCodePoint(point === 0xd7ff ? 0xe000 : point + 1)
  }
  return undefined
}

/** Values in one page, give or take one: pages are bounded in bytes as well. */
const valueBytesPerPageMax = 1024 * 1024

/** Looked at in about a millisecond, then requests get their turn. */
const cellsPerSlice = 512

/** The reason why a slice of work stopped: it has enough, the end, a load to wait for, or it is others' turn. */
type Stop = "enough" | "end" | "load" | "turn"

export const make = (
  sources: ReadonlyArray<CellSource>,
  holes: ReadonlyArray<Holes.Hole>,
  options: ScanOptions,
  close: Effect.Effect<void> = Effect.void
): Cursor => {
  const { reverse = false, tombstones = true } = options
  const range = rangeOf(options)
  const isEmpty = range.to !== undefined && compare(range.from, range.to) >= 0
  const start: Bound | undefined = reverse
    ? range.to === undefined ? undefined : { key: range.to, included: false }
    : { key: range.from, included: true }
  const lost = options.damage === "skip" ? [] : holes.filter((hole) => Holes.meets(hole, range.from, range.to))
  let merger = seekAll(sources, start, reverse)
  let untilTurn = cellsPerSlice

  const isBeyond = (key: string): boolean =>
    reverse ? compare(key, range.from) < 0 : range.to !== undefined && compare(key, range.to) >= 0

  const fill = (cells: Array<Cell.Cell>, countMax: number): Stop => {
    let valueBytes = 0
    while (cells.length < countMax && valueBytes < valueBytesPerPageMax) {
      if (merger.waiting.length > 0) {
        for (const source of merger.waiting) source.loadNow()
        merger.resume()
        if (merger.waiting.length > 0) return "load"
      }
      const source = merger.next()
      if (source === undefined || isBeyond(source.key())) return "end"
      if (untilTurn-- === 0) return "turn"
      const cell = source.cell()
      if (tombstones || cell.value !== undefined) cells.push(cell)
      valueBytes += cell.value?.bytes.length ?? 0
      merger.advance()
    }
    return "enough"
  }

  const goOn = Effect.fnUntraced(function*(first: Stop, cells: Array<Cell.Cell>, countMax: number) {
    for (let stop = first; stop === "load" || stop === "turn"; stop = fill(cells, countMax)) {
      if (stop === "turn") {
        untilTurn = cellsPerSlice
        yield* Effect.yieldNow
      } else {
        yield* Effect.forEach(merger.waiting, ({ load }) => load, { concurrency: "unbounded", discard: true })
        merger.resume()
      }
    }
    return cells
  })

  return {
    next: (countMax) =>
      Effect.suspend((): Effect.Effect<ReadonlyArray<Cell.Cell>, StorageError> => {
        if (isEmpty) return Effect.succeed([])
        // A cursor over lost cells would pass over keys without knowing.
        if (lost.length > 0) return Effect.fail(Holes.corruption(lost[0]!))
        const cells: Array<Cell.Cell> = []
        const stop = fill(cells, countMax)
        return stop === "enough" || stop === "end" ? Effect.succeed(cells) : goOn(stop, cells, countMax)
      }),
    seek: (key) =>
      Effect.sync(() => {
        const isBefore = start !== undefined && (reverse ? compare(key, start.key) >= 0 : compare(key, start.key) < 0)
        merger = seekAll(sources, isBefore ? start : { key, included: true }, reverse)
      }),
    close
  }
}

const seekAll = (sources: ReadonlyArray<CellSource>, bound: Bound | undefined, reverse: boolean) => {
  for (const source of sources) source.seek(bound)
  return new Merger(sources, reverse ? backward : forward)
}

const isNewer = (left: CellSource, right: CellSource): boolean => {
  const byVersion = Version.compare(left.version(), right.version())
  return byVersion !== 0 ? byVersion > 0 : Cell.compare(left.cell(), right.cell()) > 0
}

const compareKeys = (left: CellSource, right: CellSource): number => {
  const leftKey = left.key()
  const rightKey = right.key()
  if (leftKey === rightKey) return 0
  return left.isBasic() || right.isBasic() ? (leftKey < rightKey ? -1 : 1) : compare(leftKey, rightKey)
}

const forward: Order<CellSource> = { compare: compareKeys, isNewer }
const backward: Order<CellSource> = { compare: (left, right) => compareKeys(right, left), isNewer }
