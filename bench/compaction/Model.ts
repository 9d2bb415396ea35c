/**
 * Computes the cost of a compaction strategy without writing a byte. A table is a range of keys and a number of cells,
 * and keys are uniformly random, so a merge is arithmetic. The engine's own `pick` decides, on such tables.
 *
 * Pure. It differs from the engine in three points: cells are spread evenly within a table, a merge ends before the
 * next flush, and all lines have the same length. The log, which writes every cell once more, is not counted.
 */
import type { Sized } from "../../src/storage/Levels.ts"

/** A table over a part of the keys, which are numbers between 0 and 1. */
export interface Table extends Sized {
  readonly from: number
  readonly to: number
  readonly cells: number
}

export type Levels = ReadonlyArray<ReadonlyArray<Table>>

export interface Merge {
  readonly inputs: ReadonlyArray<Table>
  /** The level that takes the result. */
  readonly target: number
  /** The tables change their level without being rewritten. */
  readonly isMove: boolean
  /** The size at which an output table ends. */
  readonly tableBytes: number
}

/** What to merge next, if anything. Each table of level 0 is a sorted run; so is each other level. */
export type Strategy = (levels: Levels) => Merge | undefined

/** The density of the union of sets of keys, given the density of each; a density is cells per unit of keys. */
export type Union = (densities: ReadonlyArray<number>) => number

/** No key is written twice. */
export const allNew: Union = (densities) => densities.reduce((sum, density) => sum + density, 0)

/** Every write goes to one of `keys` keys, at random. */
export const amongKeys = (keys: number): Union => (densities) =>
  keys * (1 - densities.reduce((missing, density) => missing * (1 - density / keys), 1))

export interface Load {
  readonly lineBytes: number
  /** Bytes of lines in a full memtable. */
  readonly flushBytes: number
  /** Bytes of lines in the log at which a memtable is flushed early: overwrites of a few keys do not fill it. */
  readonly logBytesMax: number
}

export interface Figures {
  /** Bytes written to tables per incoming byte of lines. */
  readonly writeAmplification: number
  /** Sorted runs that a look-up may have to ask, after each flush and the merges that it caused. */
  readonly runsMean: number
  readonly runsMax: number
  readonly largestMergeBytes: number
  /** Bytes in tables per byte of the newest cells: the mean after each flush, and the maximum with running merges. */
  readonly spaceMean: number
  readonly spaceMax: number
  readonly tables: number
}

const levelCount = 7

/** Less than a cell: sums of fractions may leave this much. */
const roundingError = 0.5

const keyOf = (position: number): string => position.toFixed(12)

/** A table with its cells spread evenly over the range. */
export const tableOf = (from: number, to: number, cells: number, lineBytes: number): Table => ({
  from,
  to,
  cells,
  sizeBytes: cells * lineBytes,
  keyMin: keyOf(from),
  keyMax: keyOf(to - 1e-9)
})

/** Cuts the keys where a table begins or ends. Each part has the union of the cells of all tables that cover it. */
const partsOf = (tables: ReadonlyArray<Table>, union: Union) => {
  const borders = Array.from(new Set(tables.flatMap(({ from, to }) => [from, to]))).sort((a, b) => a - b)
  const waiting = tables.toSorted((left, right) => left.from - right.from)
  let covering: ReadonlyArray<Table> = []
  let next = 0
  return borders.slice(0, -1).map((from, index) => {
    covering = covering.filter(({ to }) => to > from)
    const added: Array<Table> = []
    while (next < waiting.length && waiting[next]!.from <= from) added.push(waiting[next++]!)
    covering = [...covering, ...added]
    const density = union(covering.map(({ cells, from, to }) => cells / (to - from)))
    return { from, to: borders[index + 1]!, density }
  })
}

/** The tables that a merge writes. */
export const merged = (
  inputs: ReadonlyArray<Table>,
  tableBytes: number,
  union: Union,
  lineBytes: number
): ReadonlyArray<Table> => {
  const parts = partsOf(inputs, union)
  const cellsPerTable = tableBytes / lineBytes
  const tables: Array<Table> = []
  let start = parts[0]!.from
  let cells = 0
  for (const { density, from, to } of parts) {
    let at = from
    while (cells + density * (to - at) > cellsPerTable) {
      at += (cellsPerTable - cells) / density
      tables.push(tableOf(start, at, cellsPerTable, lineBytes))
      start = at
      cells = 0
    }
    cells += density * (to - at)
  }
  const end = parts.at(-1)!.to
  return cells > roundingError || tables.length === 0 ? [...tables, tableOf(start, end, cells, lineBytes)] : tables
}

export const bytesOf = (tables: ReadonlyArray<Table>): number =>
  tables.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)

const runsOf = (levels: Levels): number =>
  levels[0]!.length + levels.slice(1).filter((tables) => tables.length > 0).length

/** A store, and its figures since it was created or they were reset. */
export class Store {
  levels: Levels
  private readonly load: Load
  private readonly strategy: Strategy
  private cameIn = 0
  private written = 0
  private flushes = 0
  private runs = 0
  private runsMax = 0
  private largest = 0
  private space = 0
  private spaceMax = 0

  /** The store starts with `cells` cells in its last level. */
  constructor(load: Load, strategy: Strategy, cells = 0, tableBytes = Number.POSITIVE_INFINITY) {
    const { lineBytes } = load
    this.load = load
    this.strategy = strategy
    const last = cells === 0 ? [] : merged([tableOf(0, 1, cells, lineBytes)], tableBytes, allNew, lineBytes)
    this.levels = Array.from({ length: levelCount }, (_, level) => level === levelCount - 1 ? last : [])
  }

  /** Writes cells with new keys. */
  fill(cells: number): void {
    const perFlush = this.load.flushBytes / this.load.lineBytes
    for (let left = cells; left > roundingError; left -= perFlush) {
      this.flush(Math.min(left, perFlush), Math.min(left, perFlush), allNew)
    }
  }

  /** Overwrites cells at random, in a store that holds all `keys`. */
  overwrite(cells: number, keys: number): void {
    const { flushBytes, lineBytes, logBytesMax } = this.load
    const full = Math.min(1, flushBytes / lineBytes / keys)
    // After this many writes the memtable holds the share `full` of all keys.
    const perFlush = Math.min(
      logBytesMax / lineBytes,
      full === 1 ? Number.POSITIVE_INFINITY : -keys * Math.log(1 - full)
    )
    for (let left = cells; left > roundingError; left -= perFlush) {
      const writes = Math.min(left, perFlush)
      this.flush(writes, keys * (1 - Math.exp(-writes / keys)), amongKeys(keys), keys)
    }
  }

  figures(): Figures {
    return {
      writeAmplification: this.written / this.cameIn,
      runsMean: this.runs / this.flushes,
      runsMax: this.runsMax,
      largestMergeBytes: this.largest,
      spaceMean: this.space / this.flushes,
      spaceMax: this.spaceMax,
      tables: this.levels.flat().length
    }
  }

  /** The stored cells stay. */
  resetFigures(): void {
    this.cameIn =
      this.written =
      this.flushes =
      this.runs =
      this.runsMax =
        0
    this.largest = this.space = this.spaceMax = 0
  }

  private flush(writes: number, cells: number, union: Union, keys?: number): void {
    const { lineBytes } = this.load
    const table = tableOf(0, 1, cells, lineBytes)
    this.cameIn += writes * lineBytes
    this.written += table.sizeBytes
    this.levels = this.levels.map((tables, level) => level === 0 ? [table, ...tables] : tables)
    for (let merge = this.strategy(this.levels); merge !== undefined; merge = this.strategy(this.levels)) {
      this.carryOut(merge, union, keys)
    }
    this.flushes++
    this.runs += runsOf(this.levels)
    this.runsMax = Math.max(this.runsMax, runsOf(this.levels))
    const space = this.amplification(this.bytes(), keys)
    this.space += space
    this.spaceMax = Math.max(this.spaceMax, space)
  }

  private carryOut({ inputs, isMove, tableBytes, target }: Merge, union: Union, keys: number | undefined): void {
    const outputs = isMove ? inputs : merged(inputs, tableBytes, union, this.load.lineBytes)
    if (!isMove) {
      this.written += bytesOf(outputs)
      this.largest = Math.max(this.largest, bytesOf(inputs))
      this.spaceMax = Math.max(this.spaceMax, this.amplification(this.bytes() + bytesOf(outputs), keys))
    }
    const gone = new Set(inputs)
    this.levels = this.levels.map((tables, level) => {
      const kept = tables.filter((table) => !gone.has(table))
      if (level !== target) return kept
      return level === 0 ? [...outputs, ...kept] : [...kept, ...outputs].sort((a, b) => a.from - b.from)
    })
  }

  private bytes(): number {
    return this.levels.reduce((sum, tables) => sum + bytesOf(tables), 0)
  }

  /** Without `keys`, cells have only been added, so every cell is the newest of its key. */
  private amplification(bytes: number, keys: number | undefined): number {
    return bytes / (keys === undefined ? this.bytes() : keys * this.load.lineBytes)
  }
}
