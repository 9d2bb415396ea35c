/**
 * Finds the newest line of a key among all tables that may hold it. Versions decide, never the age of a table.
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

/** Answers from memory, or says that it cannot: most look-ups need no effect and no thread pool. */
export const findCached = (
  tables: ReadonlyArray<Table>,
  key: string
): cellLines.Line | undefined | typeof mustRead => {
  if (tables.length === 0) return undefined
  const hash = Bloom.hash(key)
  let newest: cellLines.Line | undefined
  for (let index = 0; index < tables.length; index++) {
    const table = tables[index]!
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

/** The same, reading what is not in memory, all tables at once. */
export const find = (
  tables: ReadonlyArray<Table>,
  key: string
): Effect.Effect<cellLines.Line | undefined, StorageError> =>
  Effect.suspend(() => {
    const hash = Bloom.hash(key)
    const prefix = cellLines.prefixOf(key)
    const reads: Array<Effect.Effect<cellLines.Line | undefined, StorageError>> = []
    for (const table of tables) {
      if (!Bloom.admits(table.index.bloom, hash)) continue
      const block = TableIndex.blockOf(table.index, key)
      if (block !== -1) reads.push(findIn(table, block, prefix))
    }
    return reads.length === 1
      ? reads[0]!
      : Effect.map(Effect.all(reads, { concurrency: "unbounded" }), (lines) => lines.reduce(newer, undefined))
  })

const findIn = (table: Table, block: number, prefix: string) =>
  Effect.suspend(() => {
    table.retain()
    return Effect.ensuring(
      Effect.map(table.read(block, true), (bytes) => cellLines.find(bytes, prefix)),
      Effect.sync(table.release)
    )
  })

const newer = (left: cellLines.Line | undefined, right: cellLines.Line | undefined) => {
  if (left === undefined) return right
  if (right === undefined) return left
  return Version.compare(cellLines.versionUnsafe(right), cellLines.versionUnsafe(left)) > 0 ? right : left
}
