/**
 * Leveled compaction with levels sized from below: which tables to merge next, and into which level.
 *
 * Flushed tables gather in level 0, where they overlap. Every other level is one sorted run of tables that do not. Data
 * goes from level 0 to the base level and from there down, one table and what it overlaps at a time. The last level may
 * have any size, and each level above it a tenth of the one below: so obsolete cells are at most about a ninth of the
 * live ones, however much or little there is.
 *
 * Pure. The choice and its numbers: docs/decisions/0008-leveled-compaction.md.
 * Source: RocksDB's leveled compaction with `level_compaction_dynamic_level_bytes` (Dong et al., "Optimizing Space
 * Amplification in RocksDB", CIDR 2017, section 3.2); the choice of the table with the least overlap is its
 * `kMinOverlappingRatio`.
 */
import { compare } from "../../domain/Key.ts"
import { bytesOf, levelCount, levelLast, type Sized } from "../Levels.ts"

/** How many times larger each level may be than the one above it. */
export const levelFactor = 10

export interface Settings {
  /** How large the base level may grow before a level is put above it. */
  readonly levelBytes: number
  /** Flushed tables before they are merged. */
  readonly level0Tables: number
}

/** The tables of level 0, in any order, then of each level by key. */
export type Levels<T extends Sized> = ReadonlyArray<ReadonlyArray<T>>

export interface Compaction<T extends Sized> {
  /** What is merged, from the upper level and the one that takes the result. */
  readonly upper: ReadonlyArray<T>
  readonly lower: ReadonlyArray<T>
  readonly target: number
  /** Nothing overlaps: the tables change their level as they are. */
  readonly isMove: boolean
}

export const pick = <T extends Sized>(levels: Levels<T>, settings: Settings): Compaction<T> | undefined => {
  const targets = targetsOf(levels, settings.levelBytes)
  let most = 1
  let chosen: number | undefined
  for (let level = 0; level < levelLast; level++) {
    const score = level === 0
      ? levels[0]!.length / settings.level0Tables
      : bytesOf(levels[level]!) / targets.bytes[level]!
    if (score >= most && levels[level]!.length > 0) {
      most = score
      chosen = level
    }
  }
  if (chosen === undefined) return undefined
  return chosen === 0 ? compaction(levels[0]!, levels[targets.base]!, targets.base) : pushDown(levels, chosen)
}

interface Targets {
  /** The level that takes what leaves level 0. */
  readonly base: number
  /** What each level may hold; levels above the base nothing. */
  readonly bytes: ReadonlyArray<number>
}

export const targetsOf = <T extends Sized>(levels: Levels<T>, levelBytes: number): Targets => {
  const bytes = new Array<number>(levelCount).fill(0)
  let base = levelLast
  let size = Math.max(...levels.slice(1).map(bytesOf))
  bytes[levelLast] = Number.POSITIVE_INFINITY
  while (size > levelBytes && base > 1) {
    size /= levelFactor
    base--
    bytes[base] = size
  }
  return { base, bytes }
}

/** Of the level's tables, the one that costs least to merge for what it frees. */
const pushDown = <T extends Sized>(levels: Levels<T>, level: number): Compaction<T> => {
  const next = levels[level + 1]!
  let best: T | undefined
  let bestCost = Number.POSITIVE_INFINITY
  for (const table of levels[level]!) {
    const cost = bytesOf(overlapping(next, table)) / Math.max(1, table.sizeBytes)
    if (cost < bestCost) {
      best = table
      bestCost = cost
    }
  }
  return compaction([best!], next, level + 1)
}

const compaction = <T extends Sized>(
  upper: ReadonlyArray<T>,
  level: ReadonlyArray<T>,
  target: number
): Compaction<T> => {
  const isMove = areDisjoint(upper) && upper.every((table) => overlapping(level, table).length === 0)
  // What lies between two of the upper tables as well: the result may have one that reaches from one to the other.
  return { upper, lower: isMove ? [] : overlapping(level, rangeOf(upper)), target, isMove }
}

const rangeOf = (tables: ReadonlyArray<Sized>): Sized =>
  tables.reduce((range, { keyMax, keyMin }) => ({
    keyMin: compare(keyMin, range.keyMin) < 0 ? keyMin : range.keyMin,
    keyMax: compare(keyMax, range.keyMax) > 0 ? keyMax : range.keyMax,
    sizeBytes: 0
  }))

const areDisjoint = <T extends Sized>(tables: ReadonlyArray<T>): boolean => {
  const sorted = tables.toSorted((left, right) => compare(left.keyMin, right.keyMin))
  return sorted.every((table, index) => index === 0 || compare(sorted[index - 1]!.keyMax, table.keyMin) < 0)
}

export const overlapping = <T extends Sized>(tables: ReadonlyArray<T>, other: Sized): ReadonlyArray<T> =>
  tables.filter((table) => overlaps(table, other))

const overlaps = (left: Sized, right: Sized): boolean =>
  compare(left.keyMin, right.keyMax) <= 0 && compare(right.keyMin, left.keyMax) <= 0
