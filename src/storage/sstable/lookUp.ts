/**
 * Finds the newest line of a key among all tables that may hold it. Versions decide, never the age of a table.
 *
 * Tables come in the order of `byCounter`: once a line is found, tables that hold only lower counters are not asked.
 */
import { Effect } from "effect"
import * as Version from "../../domain/Version.ts"
import type { StorageError } from "../StorageError.ts"
import type { CachedBlock } from "./BlockCache.ts"
import * as Bloom from "./Bloom.ts"
import * as cellLines from "./cellLines.ts"
import * as LineDirectory from "./LineDirectory.ts"
import type { Table } from "./Table.ts"
import * as TableIndex from "./TableIndex.ts"

/** A block that may hold the key is not in memory. */
export const mustRead = Symbol("mustRead")

/** Those that may hold the highest counters first. */
export const byCounter = (tables: ReadonlyArray<Table>): ReadonlyArray<Table> =>
  tables.toSorted((left, right) => right.index.properties.counterMax - left.index.properties.counterMax)

/** Whether no table from here on can hold anything newer. */
const isSettled = (newest: cellLines.Line | undefined, table: Table): boolean =>
  newest !== undefined && cellLines.versionUnsafe(newest).counter > table.index.properties.counterMax

/** Answers from memory, or says that it cannot: most look-ups need no effect and no thread pool. */
export const findCached = (
  tables: ReadonlyArray<Table>,
  key: string
): cellLines.Line | undefined | typeof mustRead => {
  if (tables.length === 0) return undefined
  const hash = Bloom.hash(key)
  let newest: cellLines.Line | undefined
  for (const table of tables) {
    if (isSettled(newest, table)) return newest
    if (!Bloom.admits(table.index.bloom, hash)) continue
    const block = TableIndex.blockOf(table.index, key)
    if (block === -1) continue
    const cached = table.cached(block)
    if (cached === undefined) return mustRead
    newest = newer(newest, findInCached(cached, key, hash))
  }
  return newest
}

/** A block that is looked into this often is worth a directory. */
const hitsBeforeDirectory = 4

const findInCached = (cached: CachedBlock, key: string, hash: Bloom.KeyHash): cellLines.Line | undefined => {
  if (cached.directory === undefined) {
    if (++cached.hits < hitsBeforeDirectory) return cellLines.find(cached.bytes, cellLines.prefixOf(key))
    cached.directory = LineDirectory.make(cached.bytes)
  }
  return LineDirectory.find(cached.directory, cached.bytes, key, hash)
}

/**
 * The same, reading what is not in memory. `current` is asked when the effect runs, not before: a compaction may have
 * closed the tables of an earlier moment.
 */
export const find = (
  current: () => ReadonlyArray<Table>,
  key: string
): Effect.Effect<cellLines.Line | undefined, StorageError> =>
  Effect.suspend(() => {
    const hash = Bloom.hash(key)
    const candidates: Array<Candidate> = []
    for (const table of current()) {
      if (!Bloom.admits(table.index.bloom, hash)) continue
      const block = TableIndex.blockOf(table.index, key)
      if (block === -1) continue
      // All at once: compaction may drop any of them while another is read.
      table.retain()
      candidates.push({ table, block })
    }
    return Effect.ensuring(findAmong(candidates, cellLines.prefixOf(key)), Effect.sync(() => release(candidates)))
  })

interface Candidate {
  readonly table: Table
  readonly block: number
}

const findAmong = Effect.fnUntraced(function*(candidates: ReadonlyArray<Candidate>, prefix: string) {
  let newest: cellLines.Line | undefined
  for (const { block, table } of candidates) {
    if (isSettled(newest, table)) break
    newest = newer(newest, cellLines.find(yield* table.read(block, true), prefix))
  }
  return newest
})

const release = (candidates: ReadonlyArray<Candidate>) => {
  for (const { table } of candidates) table.release()
}

const newer = (left: cellLines.Line | undefined, right: cellLines.Line | undefined) => {
  if (left === undefined) return right
  if (right === undefined) return left
  return Version.compare(cellLines.versionUnsafe(right), cellLines.versionUnsafe(left)) > 0 ? right : left
}
