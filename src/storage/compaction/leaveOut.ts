/**
 * Which tombstones a compaction leaves out, and what those who follow the store hear of it.
 *
 * The compaction has made sure that nothing older of their keys is left below. Something newer may be above: in memory,
 * which a look tells, or in tables, which without a read only a filter tells, and not for certain. Then the end of the
 * tombstone is no change, or it cannot be known to be one, and it stays until the next time.
 */
import * as cellLines from "../../domain/cell/cellLines.ts"
import * as Levels from "../Levels.ts"
import * as Bloom from "../sstable/Bloom.ts"
import type { Table } from "../sstable/Table.ts"
import type { State } from "../State.ts"
import type { LineSource } from "./LineSource.ts"

export const rule = ({ memtables, tables }: State, merged: ReadonlyArray<Table>): (source: LineSource) => boolean => {
  const isMerged = new Set(merged)
  const purge = memtables.beginPurge()
  let levels: Levels.Levels | undefined
  let others: ReadonlyArray<ReadonlyArray<Table>> = []

  /** Flushes add tables meanwhile. */
  const isAbove = (key: string): boolean => {
    if (levels !== tables.levels) {
      levels = tables.levels
      others = Levels.runs(levels.map((level) => level.filter((table) => !isMerged.has(table))))
    }
    const hash = Bloom.hash(key)
    return others.some((run) => {
      const table = Levels.tableFor(run, key, hash.isBasic)
      return table !== undefined && Bloom.admits(table.index.bloom, hash)
    })
  }

  return (source) => {
    if (!purge.collects) {
      purge.leaveOutUnnamed()
      return true
    }
    const key = source.key()
    if (memtables.find(key) !== undefined) return true
    if (isAbove(key)) return false
    purge.leaveOut(key, cellLines.versionUnsafe(source.line()))
    return true
  }
}
