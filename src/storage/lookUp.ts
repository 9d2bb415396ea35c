/**
 * Finds the newest line of a key among all tables that may hold it. Versions decide, never the age of a table: a table
 * that holds only lower counters than the line found so far is not asked.
 */
import { Effect } from "effect"
import { Corruption, type StorageError } from "../disk/StorageError.ts"
import * as cellLines from "../domain/cell/cellLines.ts"
import * as Version from "../domain/Version.ts"
import * as Levels from "./Levels.ts"
import * as Holes from "./manifest/Holes.ts"
import * as Bloom from "./sstable/Bloom.ts"
import { mustRead, type Table } from "./sstable/Table.ts"
import * as TableIndex from "./sstable/TableIndex.ts"

export { mustRead } from "./sstable/Table.ts"

/** The sorted runs, newest first, and the ranges of keys of which cells were lost. */
export interface Tables {
  readonly runs: ReadonlyArray<ReadonlyArray<Table>>
  readonly holes: ReadonlyArray<Holes.Hole>
  /** No cell in them, or lost from them, has a higher counter. */
  readonly counterMax: number
}

export const tablesOf = (levels: Levels.Levels, holes: ReadonlyArray<Holes.Hole>): Tables => {
  let counterMax = 0
  for (const table of Levels.all(levels)) counterMax = Math.max(counterMax, table.counterMax)
  for (const hole of holes) counterMax = Math.max(counterMax, hole.counterMax)
  return { runs: Levels.runs(levels), holes, counterMax }
}

/** Whether no cell with a counter up to `counterMax` can be newer than the line. */
const isSettled = (newest: cellLines.Line | undefined, counterMax: number): boolean =>
  newest !== undefined && cellLines.counterOf(newest) > counterMax

/** Answers without waiting, or says that it cannot: most look-ups need no effect and no thread pool. */
export const findNow = (tables: Tables, key: string): cellLines.Line | undefined | typeof mustRead => {
  const { holes, runs } = tables
  if (runs.length === 0 && holes.length === 0) return undefined
  const hash = Bloom.hash(key)
  let newest: cellLines.Line | undefined
  for (let run = 0; run < runs.length; run++) {
    const table = candidate(runs[run]!, key, hash)
    if (table === undefined || isSettled(newest, table.counterMax)) continue
    const block = TableIndex.blockOf(table.index, key, hash.isBasic)
    const line = table.findNow(block, key)
    if (line === mustRead) return mustRead
    newest = newer(newest, line)
  }
  return holes.length > 0 && missing(holes, key, newest) !== undefined ? mustRead : newest
}

/** The filter of a run that is one table tells more than its range, and faster. */
const candidate = (run: ReadonlyArray<Table>, key: string, hash: Bloom.KeyProbe): Table | undefined => {
  if (run.length === 1 && !Bloom.admits(run[0]!.index.bloom, hash)) return undefined
  const table = Levels.tableFor(run, key, hash.isBasic)
  return table === undefined || !Bloom.admits(table.index.bloom, hash) ? undefined : table
}

/** Why the line, or that there is none, may not be the newest that was stored. */
const missing = (holes: ReadonlyArray<Holes.Hole>, key: string, newest: cellLines.Line | undefined) =>
  holes.find((hole) => Holes.covers(hole, key) && !isSettled(newest, hole.counterMax))

export interface Options {
  /** Only cells with at least this counter matter: what cannot hold any is passed over. */
  readonly counterMin?: number
  /** Holes that hide nothing that matters. */
  readonly fills?: ReadonlyArray<Holes.Hole>
}

/**
 * The same, reading what is not in memory. `current` is asked when the effect runs, not before: a compaction may have
 * closed the tables of an earlier moment.
 */
export const find = (
  current: () => Tables,
  key: string,
  options: Options = {}
): Effect.Effect<cellLines.Line | undefined, StorageError> =>
  Effect.acquireUseRelease(
    Effect.sync(() => retainCandidates(current(), key, options)),
    ({ candidates, ranges }) => findAmong(candidates, ranges, key),
    ({ candidates }) => Effect.sync(() => release(candidates))
  )

/** All at once: compaction may drop any of them while another is read. */
const retainCandidates = ({ holes, runs }: Tables, key: string, { counterMin = 0, fills = [] }: Options) => {
  const hash = Bloom.hash(key)
  const candidates: Array<Table> = []
  for (const run of runs) {
    const table = candidate(run, key, hash)
    if (table === undefined || table.counterMax < counterMin) continue
    table.retain()
    candidates.push(table)
  }
  const ranges = holes.filter((hole) =>
    hole.counterMax >= counterMin && !fills.some((filled) => Holes.isSame(filled, hole))
  )
  return { candidates, ranges }
}

const findAmong = Effect.fnUntraced(function*(
  candidates: ReadonlyArray<Table>,
  holes: ReadonlyArray<Holes.Hole>,
  key: string
) {
  let newest: cellLines.Line | undefined
  let damage: { readonly error: Corruption; readonly counterMax: number } | undefined
  for (const table of candidates) {
    if (isSettled(newest, table.counterMax)) continue
    const read = table.read(TableIndex.blockOf(table.index, key))
    const bytes = yield* Effect.catchTag(read, "Corruption", (error) => Effect.succeed(error))
    if (!(bytes instanceof Corruption)) newest = newer(newest, cellLines.find(bytes, key))
    else damage = { error: bytes, counterMax: Math.max(damage?.counterMax ?? 0, table.counterMax) }
  }
  // A newer line may have been found behind the damage: then it does not matter.
  if (damage !== undefined && !isSettled(newest, damage.counterMax)) return yield* damage.error
  const hole = missing(holes, key, newest)
  return hole === undefined ? newest : yield* Holes.corruption(hole)
})

const release = (candidates: ReadonlyArray<Table>) => {
  for (const table of candidates) table.release()
}

const newer = (left: cellLines.Line | undefined, right: cellLines.Line | undefined) => {
  if (left === undefined) return right
  if (right === undefined) return left
  return Version.compare(cellLines.versionUnsafe(right), cellLines.versionUnsafe(left)) > 0 ? right : left
}
