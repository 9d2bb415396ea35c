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
