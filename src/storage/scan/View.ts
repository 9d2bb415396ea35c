/**
 * The store as it was at one moment, while writes, flushes and compactions go on: the tables and memtables of that
 * moment, and of the memtables what was visible then. It copies nothing.
 */
import { Effect, Option, type Scope, Stream } from "effect"
import type { StorageError } from "../../disk/StorageError.ts"
import type { Cell } from "../../domain/cell/Cell.ts"
import * as cellLines from "../../domain/cell/cellLines.ts"
import type { Key } from "../../domain/Key.ts"
import * as Levels from "../Levels.ts"
import * as lookUp from "../lookUp.ts"
import * as Memtable from "../memtable/Memtable.ts"
import type { State } from "../State.ts"
import { MemtableSource, TableSource } from "./CellSource.ts"
import * as Cursor from "./Cursor.ts"

/** Valid while the scope is open that it was made in. */
export interface View {
  /** The number of the last change that it shows: see `Feed`. */
  readonly sequence: number
  /** The newest cell of the key, tombstones included. */
  readonly get: (key: Key) => Effect.Effect<Cell | undefined, StorageError>
  readonly cursor: (options?: Cursor.ScanOptions) => Effect.Effect<Cursor.Cursor>
}

export const open = (state: State): Effect.Effect<View, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(Effect.sync(() => hold(state)), (held) => Effect.sync(held.release)),
    ({ view }) => view
  )

/** One synchronous step: between two, a flush could move cells from the memtable to a table. */
const hold = (state: State) => {
  const { levels, lookUp: tables } = state.tables
  const held = Levels.all(levels)
  for (const table of held) table.retain()
  const { memtables, release: releaseMemtables, runs, sequence } = state.memtables.hold()
  const open = new Set<TableSource>()
  const view: View = {
    sequence,
    get: (key) =>
      Effect.suspend(() => {
        for (const memtable of memtables) {
          const entry = memtable.entries.get(key)
          const cell = entry === undefined ? undefined : Memtable.visible(entry, sequence)
          if (cell !== undefined) return Effect.succeed(cell)
        }
        const line = lookUp.findNow(tables, key)
        return line === lookUp.mustRead
          ? Effect.map(lookUp.find(() => tables, key), cellOf)
          : Effect.succeed(cellOf(line))
      }),
    cursor: (options = {}) =>
      Effect.sync(() => {
        const reverse = options.reverse === true
        const skipDamage = options.damage === "skip"
        const ofMemtables = runs.map((run) => new MemtableSource(run, sequence, reverse))
        const ofTables = tables.runs.map((run) => new TableSource(run, reverse, skipDamage))
        for (const source of ofTables) open.add(source)
        return Cursor.make([...ofMemtables, ...ofTables], tables.holes, options, Effect.sync(() => close(ofTables)))
      })
  }
  const close = (sources: Iterable<TableSource>) => {
    for (const source of sources) {
      if (open.delete(source)) source.close()
    }
  }
  const release = () => {
    close(open)
    releaseMemtables()
    for (const table of held) table.release()
  }
  return { view, release }
}

const cellOf = (line: cellLines.Line | undefined) => line === undefined ? undefined : cellLines.cellUnsafe(line)

/** Cells handed on at once: some hundred microseconds of work. */
const cellsPerPage = 256

export const scan = (state: State, options?: Cursor.ScanOptions): Stream.Stream<Cell, StorageError> =>
  Stream.unwrap(Effect.gen(function*() {
    const view = yield* open(state)
    const cursor = yield* view.cursor(options)
    return Stream.paginate(
      cursor,
      (same) =>
        Effect.map(
          same.next(cellsPerPage),
          (cells) => [cells, cells.length === 0 ? Option.none() : Option.some(same)] as const
        )
    )
  }))
