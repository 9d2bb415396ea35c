/** The strategies to compare: the engine's present one and its former one. */
import { pick, type Settings } from "../../src/storage/compaction/pick.ts"
import * as Engine from "../../src/storage/Engine.ts"
import { bytesOf, type Strategy, type Table } from "./Model.ts"

/** As in `Compactor`. */
const tablesAtMost = 256

export const tableBytesOf = (bytes: number): number => Math.max(Engine.defaults.tableBytes, bytes / tablesAtMost)

/** The engine's strategy, with its own `pick`. */
export const leveled = (settings: Partial<Settings> = {}): Strategy => (levels) => {
  const picked = pick(levels, { ...Engine.defaults, ...settings })
  if (picked === undefined) return undefined
  const { isMove, lower, target, upper } = picked
  return { inputs: [...upper, ...lower], isMove, target, tableBytes: tableBytesOf(bytesOf(levels.flat())) }
}

/** This many tables of similar size are merged. */
const tablesPerMerge = 4
/** Above this number of tables, the smallest are merged, regardless of size. */
const tablesMax = 20
/** Tables smaller than this count as equal: a quarter of the memtable. */
const smallBytes = 8 * 1024 * 1024

/**
 * Every table is a sorted run, and all are in level 0.
 *
 * Source: Apache Cassandra's `SizeTieredCompactionStrategy`, as this engine used it before leveled compaction.
 */
export const sizeTiered: Strategy = (levels) => {
  const bySize = levels.flat().sort((left, right) => left.sizeBytes - right.sizeBytes)
  const bucket = bucketsOf(bySize).find((tables) => tables.length >= tablesPerMerge)
  const inputs = bucket ?? (bySize.length > tablesMax ? bySize.slice(0, tablesPerMerge) : undefined)
  return inputs === undefined
    ? undefined
    : { inputs, isMove: false, target: 0, tableBytes: Number.POSITIVE_INFINITY }
}

/** Groups of tables, each at most 1.5 times as large as the mean of the smaller ones in its group. */
const bucketsOf = (bySize: ReadonlyArray<Table>): ReadonlyArray<ReadonlyArray<Table>> => {
  const buckets: Array<Array<Table>> = []
  for (const table of bySize) {
    const bucket = buckets.at(-1)
    const isSimilar = bucket !== undefined &&
      table.sizeBytes <= Math.max(smallBytes, (1.5 * bytesOf(bucket)) / bucket.length)
    if (isSimilar) bucket.push(table)
    else buckets.push([table])
  }
  return buckets
}
