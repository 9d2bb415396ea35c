/**
 * The tables of a store by level: level 0 holds flushed ones, which overlap; every other level is one run of tables in
 * key order that do not. Replaced and never changed, so a holder has a consistent set.
 *
 * Pure.
 */
import { compare } from "../domain/Key.ts"
import type { Table } from "./sstable/Table.ts"
import { isAtMost } from "./sstable/TableIndex.ts"

/** Level 0 and six sorted ones: enough for 10^6 times the size of the base level. */
export const levelCount = 7

export const levelLast = levelCount - 1

/** The properties of a table by which compaction chooses. */
export interface Sized {
  readonly keyMin: string
  readonly keyMax: string
  readonly sizeBytes: number
}

export type Levels = ReadonlyArray<ReadonlyArray<Table>>

export const empty: Levels = Array.from({ length: levelCount }, () => [])

/** The same levels without some tables and with others at a level. */
export const replace = (
  levels: Levels,
  removed: ReadonlySet<Table>,
  added: ReadonlyArray<Table>,
  target: number
): Levels =>
  levels.map((tables, level) => {
    const kept = removed.size === 0 ? tables : tables.filter((table) => !removed.has(table))
    return level === target ? inOrder([...kept, ...added], level) : kept
  })

/** Level 0 newest first, the others by key. */
export const inOrder = (tables: ReadonlyArray<Table>, level: number): ReadonlyArray<Table> =>
  level === 0
    ? tables.toSorted((left, right) => right.id - left.id)
    : tables.toSorted((left, right) => compare(left.keyMin, right.keyMin))

export const bytesOf = (tables: ReadonlyArray<Pick<Sized, "sizeBytes">>): number => {
  let sum = 0
  for (const { sizeBytes } of tables) sum += sizeBytes
  return sum
}

export const all = (levels: Levels): ReadonlyArray<Table> => levels.flat()

/** Sorted runs, newest first: each table of level 0, and each other level that has some. */
export const runs = (levels: Levels): ReadonlyArray<ReadonlyArray<Table>> => [
  ...levels[0]!.map((table) => [table]),
  ...levels.slice(1).filter((tables) => tables.length > 0)
]

/** The first table of a run whose last key is not below `key`; the run's length when there is none. */
export const firstNotBelow = (run: ReadonlyArray<Table>, key: string, isBasic = false): number => {
  let low = 0
  let high = run.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isAtMost(key, run[middle]!.keyMax, isBasic)) high = middle
    else low = middle + 1
  }
  return low
}

/** The only table of a run whose range has the key. */
export const tableFor = (run: ReadonlyArray<Table>, key: string, isBasic: boolean): Table | undefined => {
  const table = run[run.length === 1 ? 0 : firstNotBelow(run, key, isBasic)]
  return table !== undefined && isAtMost(table.keyMin, key, isBasic) && isAtMost(key, table.keyMax, isBasic)
    ? table
    : undefined
}
