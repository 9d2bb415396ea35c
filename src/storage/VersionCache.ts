/**
 * The versions of keys lately flushed or merged, so that the merge of an overwrite reads no table.
 *
 * Two generations, after the second-chance idea: when the young one is full it becomes the old one, and what is
 * asked for again moves back. Bounded, and each map small enough that growing it does not hold the event loop.
 *
 * Invariant
 * - An entry is the newest version of its key outside the active memtable. Two put entries: the flusher, of the cells
 *   that it is moving to a table; and the writer, of a line that it read because no memtable had the key. While it
 *   reads, no cell of that key can come into a memtable, so no look-up that took its time brings an old one back.
 *   Whoever asks looks into the memtables first.
 */
import type { Version } from "../domain/Version.ts"

export interface StoredVersion {
  readonly version: Version
  readonly isTombstone: boolean
}

export interface VersionCache {
  readonly get: (key: string) => StoredVersion | undefined
  readonly put: (key: string, stored: StoredVersion) => void
}

/** About 150 bytes each, twice. */
const keysPerGenerationMax = 128 * 1024

export const make = (keysMax = keysPerGenerationMax): VersionCache => {
  let young = new Map<string, StoredVersion>()
  let old = new Map<string, StoredVersion>()

  const put = (key: string, stored: StoredVersion) => {
    if (young.size >= keysMax && !young.has(key)) {
      old = young
      young = new Map()
    }
    young.set(key, stored)
  }

  return {
    get: (key) => {
      const recent = young.get(key)
      if (recent !== undefined) return recent
      const earlier = old.get(key)
      if (earlier !== undefined) put(key, earlier)
      return earlier
    },
    put
  }
}
