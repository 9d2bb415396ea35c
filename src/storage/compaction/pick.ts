/**
 * Size-tiered compaction: which tables to merge next. Tables of similar size are merged when enough of them are
 * there, so every cell is rewritten about once for each fourfold growth of the store.
 *
 * Pure.
 * Source: the size-tiered strategy of Apache Cassandra (`SizeTieredCompactionStrategy`).
 */

/** Fewer rewrites with more, fewer tables to ask per read with less. */
export const tablesPerMerge = 4

/** Tables of a store whose sizes never match; beyond this the smallest are merged whatever their sizes. */
export const tablesMax = 20

interface Sized {
  readonly sizeBytes: number
}

/**
 * The tables to merge into one, or none. Tables below `smallBytes` count as equal, because merging them costs little.
 */
export const pick = <T extends Sized>(tables: ReadonlyArray<T>, smallBytes: number): ReadonlyArray<T> => {
  const bySize = Array.from(tables).sort((left, right) => left.sizeBytes - right.sizeBytes)
  for (const bucket of bucketsOf(bySize, smallBytes)) {
    if (bucket.length >= tablesPerMerge) return bucket
  }
  return bySize.length > tablesMax ? bySize.slice(0, tablesPerMerge) : []
}

/** Runs of tables none of which is more than half as large again as their mean. */
const bucketsOf = <T extends Sized>(bySize: ReadonlyArray<T>, smallBytes: number): ReadonlyArray<ReadonlyArray<T>> => {
  const buckets: Array<Array<T>> = []
  let total = 0
  for (const table of bySize) {
    const bucket = buckets.at(-1)
    if (bucket !== undefined && table.sizeBytes <= Math.max(smallBytes, (1.5 * total) / bucket.length)) {
      bucket.push(table)
      total += table.sizeBytes
    } else {
      buckets.push([table])
      total = table.sizeBytes
    }
  }
  return buckets
}
