/**
 * Cells in key order, as they were when the scan began: it holds the tables of that moment and a copy of what the
 * memtables held (references, not bytes), and reads a block a table at a time.
 */
import { Effect, Option, Stream } from "effect"
import type { Cell } from "../domain/Cell.ts"
import { compare, type Key } from "../domain/Key.ts"
import * as merge from "./compaction/merge.ts"
import * as Memtable from "./memtable/Memtable.ts"
import { sortCells } from "./memtable/sortCells.ts"
import type { State } from "./State.ts"
import type { StorageError } from "./StorageError.ts"

export interface ScanOptions {
  /** Start at this key (included). Default: the first. */
  readonly from?: Key
  readonly prefix?: string
}

/** Cells handed on at once: some hundred microseconds of work. */
const cellsPerPage = 256

export const scan = (state: State, options: ScanOptions = {}): Stream.Stream<Cell, StorageError> => {
  const prefix = options.prefix ?? ""
  const from = options.from === undefined || compare(options.from, prefix) < 0 ? prefix : options.from
  return Stream.unwrap(
    Effect.map(
      openSources(state, from, prefix),
      (sources) =>
        Stream.paginate(
          sources,
          (open) =>
            Effect.map(page(open, prefix), (cells) =>
              [cells, cells.length < cellsPerPage ? Option.none() : Option.some(open)] as const)
        )
    )
  )
}

const openSources = Effect.fnUntraced(function*(state: State, from: string, prefix: string) {
  // One synchronous step: between two, a flush could move cells from the memtable to a table.
  const { cells, tables } = yield* Effect.acquireRelease(
    Effect.sync(() => {
      for (const table of state.tables) table.retain()
      return {
        tables: state.tables,
        cells: [state.active, state.flushing].map((memtable) => selected(memtable, from, prefix))
      }
    }),
    ({ tables }) =>
      Effect.sync(() => {
        for (const table of tables) table.release()
      })
  )
  const sources: Array<merge.Source> = tables.map((table) => merge.ofTable(table, from))
  for (const some of cells) sources.push(merge.ofCells(yield* sortCells(some)))
  return sources
})

const selected = (memtable: Memtable.Memtable | undefined, from: string, prefix: string): ReadonlyArray<Cell> => {
  if (memtable === undefined) return []
  if (from === "") return Memtable.cellsOf(memtable)
  return Memtable.cellsOf(memtable).filter(({ key }) => key.startsWith(prefix) && compare(key, from) >= 0)
}

const page = Effect.fnUntraced(function*(sources: ReadonlyArray<merge.Source>, prefix: string) {
  const cells: Array<Cell> = []
  while (cells.length < cellsPerPage) {
    for (let loading = merge.loadAll(sources); loading !== undefined; loading = merge.loadAll(sources)) yield* loading
    const winner = merge.next(sources)
    if (winner === undefined || !winner.key()!.startsWith(prefix)) return cells
    cells.push(winner.cell())
    winner.advance()
  }
  return cells
})
