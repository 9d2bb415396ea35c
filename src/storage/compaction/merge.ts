/**
 * Walks several sorted sources as one: the newest cell of each key, in key order. What scans and compaction share.
 *
 * Source: Knuth, "The Art of Computer Programming", volume 3, section 5.4.1 (multiway merging). The sources are few,
 * so the smallest head is found by looking at all of them.
 */
import { Effect } from "effect"
import * as Cell from "../../domain/Cell.ts"
import { compare, type Key } from "../../domain/Key.ts"
import * as Version from "../../domain/Version.ts"
import * as cellLines from "../sstable/cellLines.ts"
import type { Table } from "../sstable/Table.ts"
import * as TableIndex from "../sstable/TableIndex.ts"
import type { StorageError } from "../StorageError.ts"

export interface Source {
  /** The key it stands at; `undefined` at its end and before a `load`. */
  readonly key: () => Key | undefined
  readonly version: () => Version.Version
  readonly cell: () => Cell.Cell
  readonly advance: () => void
  /** Whether `load` must be run before it is used on. */
  readonly mustLoad: () => boolean
  readonly load: Effect.Effect<void, StorageError>
}

/** A table from a key on. Whoever walks it retains the table meanwhile. */
export interface TableSource extends Source {
  readonly line: () => cellLines.Line
}

export const ofTable = (table: Table, from: string): TableSource => {
  const { blocks } = table.index
  let block = Math.max(0, TableIndex.blockOf(table.index, from))
  let bytes: Buffer | undefined
  let line: cellLines.Line | undefined
  let key: Key | undefined

  const stepTo = (start: number) => {
    if (start < bytes!.length) {
      line = cellLines.at(bytes!, start)
      key = cellLines.keyOf(line)
    } else {
      block++
      bytes = undefined
      line = undefined
      key = undefined
    }
  }

  return {
    key: () => key,
    line: () => line!,
    version: () => cellLines.versionUnsafe(line!),
    cell: () => cellLines.cellUnsafe(line!),
    advance: () => stepTo(line!.end + 1),
    mustLoad: () => bytes === undefined && block < blocks.length,
    load: Effect.suspend(() =>
      Effect.map(table.read(block, false), (loaded) => {
        bytes = loaded
        stepTo(0)
        // Only the first block can begin before `from`; the loop may run off its end.
        while (key !== undefined && compare(key, from) < 0) stepTo(line!.end + 1)
      })
    )
  }
}

/** Cells that are sorted already. */
export const ofCells = (cells: ReadonlyArray<Cell.Cell>): Source => {
  let index = 0
  return {
    key: () => cells[index]?.key,
    version: () => cells[index]!.version,
    cell: () => cells[index]!,
    advance: () => {
      index++
    },
    mustLoad: () => false,
    load: Effect.void
  }
}

const mustLoad = (source: Source): boolean => source.mustLoad()

/** Loads every source that has to be; then `next` may be called until one has to be again. */
export const loadAll = (sources: ReadonlyArray<Source>): Effect.Effect<void, StorageError> | undefined => {
  // Asked for every cell: nothing is allocated as long as nobody has to wait.
  if (!sources.some(mustLoad)) return undefined
  return Effect.forEach(sources.filter(mustLoad), (source) => source.load, { concurrency: "unbounded", discard: true })
}

/**
 * The source that stands at the newest cell of the smallest key, or `undefined` at the end of all. Older cells of the
 * key are passed over; the winner must be advanced by the caller.
 */
export const next = <S extends Source>(sources: ReadonlyArray<S>): S | undefined => {
  let winner: S | undefined
  for (const source of sources) {
    const key = source.key()
    if (key === undefined) continue
    if (winner === undefined) {
      winner = source
      continue
    }
    const order = compare(key, winner.key()!)
    if (order > 0) continue
    if (order < 0) winner = source
    else if (isNewer(source, winner)) {
      winner.advance()
      winner = source
    } else source.advance()
  }
  return winner
}

const isNewer = (left: Source, right: Source): boolean => {
  const byVersion = Version.compare(left.version(), right.version())
  return byVersion !== 0 ? byVersion > 0 : Cell.compare(left.cell(), right.cell()) > 0
}
