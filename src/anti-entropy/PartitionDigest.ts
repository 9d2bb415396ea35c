/**
 * One hash and one count for each partition over everything that a node holds in it: two nodes that agree on both
 * hold the same versions of the same keys.
 *
 * Pure. The hash is the exclusive or of one hash a cell, so it does not depend on the order of cells.
 */
import type { Cell } from "../domain/cell/Cell.ts"
import * as Version from "../domain/Version.ts"
import { hashInto } from "../domain/xxhash64.ts"

export interface PartitionDigests {
  readonly add: (partition: number, cell: Pick<Cell, "key" | "version">) => void
  /** `<16 hexadecimal digits>-<number of cells>` for each partition, in order. */
  readonly format: () => ReadonlyArray<string>
}

export const make = (partitions: number): PartitionDigests => {
  const high = new Uint32Array(partitions)
  const low = new Uint32Array(partitions)
  const counts = new Uint32Array(partitions)
  const hash = new Uint32Array(2)
  return {
    add: (partition, { key, version }) => {
      hashInto(`${Version.format(version)} ${key}`, hash)
      high[partition]! ^= hash[0]!
      low[partition]! ^= hash[1]!
      counts[partition]!++
    },
    format: () => Array.from(counts, (count, partition) => `${hex(high[partition]!)}${hex(low[partition]!)}-${count}`)
  }
}

const hex = (half: number) => half.toString(16).padStart(8, "0")

/** How many cells a digest stands for. One that a peer garbled may stand for any number. */
export const cellsOf = (digest: string): number => {
  const cells = Number(digest.slice(17))
  return cells >= 0 ? cells : Number.POSITIVE_INFINITY
}

/**
 * Partitions in which two nodes differ, in groups of at most `cellsMax` cells (or one partition), so that a
 * comparison's memory is bounded.
 */
export const differing = (
  shared: ReadonlyArray<number>,
  mine: ReadonlyArray<string>,
  theirs: ReadonlyArray<string>,
  cellsMax: number
): ReadonlyArray<ReadonlyArray<number>> => {
  const groups: Array<Array<number>> = []
  let cells = Number.POSITIVE_INFINITY
  for (const partition of shared) {
    if (mine[partition] === theirs[partition]) continue
    const more = Math.max(cellsOf(mine[partition] ?? ""), cellsOf(theirs[partition] ?? ""))
    if (cells + more > cellsMax) {
      groups.push([])
      cells = 0
    }
    groups.at(-1)!.push(partition)
    cells += more
  }
  return groups
}
