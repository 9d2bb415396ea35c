/**
 * Reads every block and index of a set of tables from the disk, past the cache, as fast as the disk goes. Blocks that
 * turn out to be damaged are from then on treated as if a read had met them.
 */
import { Effect } from "effect"
import * as Levels from "../Levels.ts"
import type { Hole } from "../manifest/Holes.ts"
import type { Table } from "../sstable/Table.ts"
import * as TableIndex from "../sstable/TableIndex.ts"
import type { State } from "../State.ts"
import * as TableCheck from "./TableCheck.ts"

export interface VerifyReport {
  readonly tables: number
  readonly blocks: number
  /** Of the tables' lines. */
  readonly bytes: number
  /** Found now, with the keys that it concerns. */
  readonly damage: ReadonlyArray<Hole>
  /** Lost before, and not given back yet. */
  readonly holes: ReadonlyArray<Hole>
}

/** As large as compaction's: the disk works in long strokes, and requests wait for none of them. */
export const spanBytes = 256 * 1024

/** Checks the tables that an open store has now. They stay until it is done. */
export const verify = (state: State): Effect.Effect<VerifyReport> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const tables = Levels.all(state.tables.levels)
      for (const table of tables) table.retain()
      return { tables, holes: state.tables.holes }
    }),
    ({ holes, tables }) =>
      Effect.map(
        checkTables(tables, { ...optionsOf(state), spanBytes }),
        (damage) => reportOf(tables, damage, holes)
      ),
    ({ tables }) =>
      Effect.sync(() => {
        for (const table of tables) table.release()
      })
  )

export const optionsOf = ({ disk, settings }: State): Omit<TableCheck.Options, "spanBytes"> => ({
  disk,
  directory: settings.directory,
  repairIndex: true
})

/** `onProgress` hears how many bytes each step took. */
export const checkTables = Effect.fnUntraced(function*(
  tables: ReadonlyArray<Table>,
  options: TableCheck.Options,
  onProgress: (bytes: number) => void = () => {}
) {
  const damage: Array<Hole> = []
  for (const table of tables) {
    const check = TableCheck.make(table, options)
    for (let bytes = yield* check.step; bytes !== undefined; bytes = yield* check.step) {
      onProgress(bytes)
      yield* Effect.yieldNow
    }
    damage.push(...check.damage)
  }
  return damage
})

export const reportOf = (
  tables: ReadonlyArray<Table>,
  damage: ReadonlyArray<Hole>,
  holes: ReadonlyArray<Hole>
): VerifyReport => ({
  tables: tables.length,
  blocks: tables.reduce((sum, { index }) => sum + TableIndex.blockCount(index), 0),
  bytes: Levels.bytesOf(tables),
  damage,
  holes
})
