/**
 * An immutable table: lines of cells sorted by key in `NNNNNN.sst`, its index in `NNNNNN.idx`.
 *
 * Invariants
 * - A block's checksum is verified each time it comes from the disk.
 * - A block that does not match it fails each read, and is logged at the first.
 * - Its files are removed only when no look-up and no scan reads them (`retain`, `release`, `retire`).
 */
import { Effect } from "effect"
import { crc32 } from "node:zlib"
import type { Disk, ReadHandle } from "../Disk.ts"
import { Corruption, type StorageError } from "../StorageError.ts"
import type { BlockCache, BlockSlots, CachedBlock } from "./BlockCache.ts"
import * as TableIndex from "./TableIndex.ts"

export interface Table {
  readonly id: number
  readonly path: string
  readonly index: TableIndex.TableIndex
  /** A block that is in memory. */
  readonly cached: (block: number) => CachedBlock | undefined
  /** A block from memory or from the disk; `keep` puts it into the cache. */
  readonly read: (block: number, keep: boolean) => Effect.Effect<Buffer, StorageError>
  /** The damage that a read met last. */
  readonly damage: () => Corruption | undefined
  readonly retain: () => void
  readonly release: () => void
  /** Calls `whenFree` once nobody holds the table any more. */
  readonly retire: (whenFree: () => void) => void
  readonly close: Effect.Effect<void>
}

/** `000012.sst` and `000012.idx`. */
export const dataPath = (directory: string, id: number): string => `${directory}/${fileNumber(id)}.sst`
export const indexPath = (directory: string, id: number): string => `${directory}/${fileNumber(id)}.idx`
export const fileNumber = (id: number): string => String(id).padStart(6, "0")

export const open = Effect.fnUntraced(function*(
  disk: Disk["Service"],
  cache: BlockCache,
  directory: string,
  id: number
): Effect.fn.Return<Table, StorageError> {
  const path = dataPath(directory, id)
  const indexFile = indexPath(directory, id)
  const bytes = yield* disk.readFile(indexFile)
  if (bytes === undefined) return yield* new Corruption({ path: indexFile, offsetBytes: 0, reason: "it is missing" })
  const index = TableIndex.decode(bytes)
  if (typeof index === "string") return yield* new Corruption({ path: indexFile, offsetBytes: 0, reason: index })
  const sizeBytes = yield* disk.sizeBytes(path)
  if (sizeBytes !== index.properties.sizeBytes) {
    return yield* new Corruption({
      path,
      offsetBytes: Math.min(sizeBytes, index.properties.sizeBytes),
      reason: `it has ${sizeBytes} bytes, its index says ${index.properties.sizeBytes}`
    })
  }
  return make(id, path, index, yield* disk.openRead(path), cache)
})

const make = (
  id: number,
  path: string,
  index: TableIndex.TableIndex,
  handle: ReadHandle,
  cache: BlockCache
): Table => {
  const slots: BlockSlots = new Array(index.blocks.length)
  let holders = 0
  let whenFree: (() => void) | undefined
  let damage: Corruption | undefined
  const damagedBlocks = new Set<number>()

  const refuse = (block: number, found: Corruption) => {
    damage = found
    const isKnown = damagedBlocks.has(block)
    damagedBlocks.add(block)
    return Effect.andThen(isKnown ? Effect.void : Effect.logError(found.message), Effect.fail(found))
  }

  const freeWhenUnused = () => {
    if (holders > 0 || whenFree === undefined) return
    const free = whenFree
    whenFree = undefined
    free()
  }

  const load = (block: number, keep: boolean) => {
    const { crc32: expected, lengthBytes, offsetBytes } = index.blocks[block]!
    return Effect.flatMap(handle.read(offsetBytes, lengthBytes), (bytes) => {
      if (crc32(bytes) !== expected) {
        return refuse(block, new Corruption({ path, offsetBytes, reason: "the block's checksum does not match" }))
      }
      if (keep) cache.put(slots, block, bytes)
      return Effect.succeed(bytes)
    })
  }

  const table: Table = {
    id,
    path,
    index,
    cached: (block) => cache.get(slots, block),
    read: (block, keep) =>
      Effect.suspend(() => {
        const cached = cache.get(slots, block)
        return cached === undefined ? load(block, keep) : Effect.succeed(cached.bytes)
      }),
    damage: () => damage,
    retain: () => {
      holders++
    },
    release: () => {
      holders--
      freeWhenUnused()
    },
    retire: (free) => {
      whenFree = free
      freeWhenUnused()
    },
    close: handle.close
  }
  return table
}
