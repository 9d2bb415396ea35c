/**
 * An immutable table: lines of cells sorted by key in `NNNNNN.sst`, its index in `NNNNNN.idx`.
 *
 * Invariants
 * - A block's checksum is verified each time it comes from the disk. One that does not match is read once more, and
 *   then fails each read, and is logged at the first.
 * - A block that the disk cannot read for good counts as damaged too (`UnreadableBlocks`); any other read that the disk
 *   refuses fails with the disk's error.
 * - Its files are removed only when no look-up and no scan reads them (`retain`, `release`, `retire`).
 */
import { Effect } from "effect"
import type { Disk, ReadHandle } from "../../disk/Disk.ts"
import {
  Corruption,
  type DiskError,
  isMissing,
  isUnreadable,
  type StorageError,
  UnknownFormat
} from "../../disk/StorageError.ts"
import * as Bytes from "../../domain/bytes.ts"
import * as cellLines from "../../domain/cell/cellLines.ts"
import type { BlockCache, BlockSlots } from "./BlockCache.ts"
import * as TableIndex from "./TableIndex.ts"
import { UnreadableBlocks } from "./UnreadableBlocks.ts"

export interface Table extends TableIndex.TableProperties {
  readonly id: number
  readonly path: string
  readonly index: TableIndex.TableIndex
  /** The line of a key in a block, without waiting when the block is in memory or nearly so. */
  readonly findNow: (block: number, key: string) => cellLines.Line | undefined | typeof mustRead
  /**
   * A block without waiting: from the cache, or if that is possible in the memory that `take` gives for so many bytes.
   */
  readonly readNow: (block: number, take: (lengthBytes: number) => Uint8Array) => Uint8Array | undefined
  /** A block from the cache or from the disk. */
  readonly read: (block: number) => Effect.Effect<Uint8Array, StorageError>
  /** The lines of several blocks, past the cache. When the disk refuses to read them, each may be tried alone. */
  readonly span: (block: number, count: number) => Effect.Effect<Uint8Array, StorageError>
  /** The same without waiting, if that is possible, in the memory that `take` gives for so many bytes. */
  readonly spanNow: (block: number, count: number, take: (lengthBytes: number) => Uint8Array) => Uint8Array | undefined
  /** Blocks that cannot be read, by number. */
  readonly damaged: ReadonlyMap<number, Corruption>
  /** Why the disk fails, when it refuses more than a few sectors. */
  readonly failing: () => StorageError | undefined
  /** Reads a block again that the disk refused, if there is one: see `UnreadableBlocks`. */
  readonly retryUnreadable: () => Effect.Effect<void> | undefined
  readonly retain: () => void
  readonly release: () => void
  /** Calls `whenFree` once nobody holds the table any more. */
  readonly retire: (whenFree: () => void) => void
  readonly close: Effect.Effect<void>
}

/** A block that may hold the key has to be waited for. */
export const mustRead = Symbol("mustRead")

/** Where a block is read that nobody keeps: what is found in it is copied out before the next one comes. */
const scratch = Bytes.allocateOwn(64 * 1024)
const takeScratch = (lengthBytes: number) => lengthBytes <= scratch.length ? scratch : Bytes.allocateOwn(lengthBytes)

/** `000012.sst` and `000012.idx`. */
export const dataPath = (directory: string, id: number): string => `${directory}/${fileNumber(id)}.sst`
export const indexPath = (directory: string, id: number): string => `${directory}/${fileNumber(id)}.idx`
export const fileNumber = (id: number): string => String(id).padStart(6, "0")

/** Shared by all tables of a store. */
export interface Context {
  readonly disk: Disk["Service"]
  readonly directory: string
  readonly cache: BlockCache
  /** Called when a block turns out to be damaged. */
  readonly onDamage: () => void
}

const spanNowBytesMax = 64 * 1024

export const open = Effect.fnUntraced(function*(context: Context, id: number): Effect.fn.Return<Table, StorageError> {
  const { directory, disk } = context
  const path = dataPath(directory, id)
  const index = yield* readIndex(disk, directory, id)
  const sizeBytes = yield* Effect.catchIf(disk.sizeBytes(path), isMissing, () => Effect.succeed(0))
  if (sizeBytes !== index.properties.sizeBytes) {
    return yield* new Corruption({
      path,
      offsetBytes: Math.min(sizeBytes, index.properties.sizeBytes),
      reason: `it has ${sizeBytes} bytes, its index says ${index.properties.sizeBytes}`
    })
  }
  return make(id, path, index, yield* disk.openRead(path), context)
})

/** Keeps the table's files while it is used. */
export const held = <A, E>(table: Table, use: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.acquireUseRelease(Effect.sync(table.retain), () => use, () => Effect.sync(table.release))

/** Reads and verifies the index alone. */
export const readIndex = Effect.fnUntraced(function*(disk: Disk["Service"], directory: string, id: number) {
  const path = indexPath(directory, id)
  const bytes = yield* disk.readFile(path)
  if (bytes === undefined) return yield* new Corruption({ path, offsetBytes: 0, reason: "it is missing" })
  const index = TableIndex.decode(bytes)
  if (typeof index !== "string") return index
  const format = TableIndex.unknownFormat(bytes)
  if (format === undefined) return yield* new Corruption({ path, offsetBytes: 0, reason: index })
  return yield* new UnknownFormat({ path, format, known: TableIndex.format })
})

const make = (
  id: number,
  path: string,
  index: TableIndex.TableIndex,
  handle: ReadHandle,
  { cache, directory, disk, onDamage }: Context
): Table => {
  const { checksums, offsets } = index
  const slots: BlockSlots = new Array(checksums.length)
  const damaged = new Map<number, Corruption>()
  let holders = 0
  let whenFree: (() => void) | undefined

  const freeWhenUnused = () => {
    if (holders > 0 || whenFree === undefined) return
    const free = whenFree
    whenFree = undefined
    cache.drop(slots)
    free()
  }

  /** The first of the blocks, whose bytes these are, that does not match its checksum. */
  const mismatch = (bytes: Uint8Array, first: number, end: number): number | undefined => {
    const base = offsets[first]!
    for (let block = first; block < end; block++) {
      const isWhole = end === first + 1
      const part = isWhole ? bytes : bytes.subarray(offsets[block]! - base, offsets[block + 1]! - base)
      if (Bytes.crc32(part) !== checksums[block]) return block
    }
    return undefined
  }

  const refuse = (block: number, reason: string) => {
    const known = damaged.get(block)
    if (known !== undefined) return Effect.fail(known)
    const found = new Corruption({ path, offsetBytes: offsets[block]!, reason })
    damaged.set(block, found)
    onDamage()
    return Effect.andThen(Effect.logError(found.message), Effect.fail(found))
  }

  const readBlocks = (first: number, end: number) => handle.read(offsets[first]!, offsets[end]! - offsets[first]!)

  const unreadable = new UnreadableBlocks(
    TableIndex.blockCount(index),
    (block) => readBlocks(block, block + 1),
    disk.readFile(indexPath(directory, id))
  )

  const readVerified = (first: number, end: number): Effect.Effect<Uint8Array, StorageError> => {
    if (end === first + 1 && unreadable.isLost(first)) return Effect.fail(damaged.get(first)!)
    const attempt = Effect.map(readBlocks(first, end), (bytes) => ({ bytes, bad: mismatch(bytes, first, end) }))
    const verified = Effect.flatMap(
      // The bytes may have been spoilt on their way: only what reads wrong twice is damaged.
      Effect.flatMap(attempt, (once) => once.bad === undefined ? Effect.succeed(once) : attempt),
      ({ bad, bytes }) => {
        unreadable.wereRead(first, end)
        return bad === undefined ? Effect.succeed(bytes) : refuse(bad, "the block's checksum does not match")
      }
    )
    return end > first + 1
      ? verified
      : Effect.catchIf(verified, isUnreadable, (error) => refuseUnreadable(first, error))
  }

  /** Not to be interrupted: a block that is lost is in `damaged` too. */
  const refuseUnreadable = (block: number, error: DiskError) =>
    Effect.uninterruptible(Effect.flatMap(
      unreadable.refused(block, error),
      (isLost): Effect.Effect<never, StorageError> =>
        isLost ? refuse(block, `the disk cannot read it (${error.code})`) : Effect.fail(error)
    ))

  const spanNow = (block: number, count: number, take: (lengthBytes: number) => Uint8Array): Uint8Array | undefined => {
    const length = offsets[block + count]! - offsets[block]!
    // A long copy would keep everybody waiting.
    if (length > spanNowBytesMax || unreadable.isLost(block)) return undefined
    const target = take(length)
    if (!handle.readNow(offsets[block]!, length, target)) return undefined
    const bytes = target.length === length ? target : target.subarray(0, length)
    // Damage is found again, and told, by the read that follows.
    return mismatch(bytes, block, block + count) === undefined ? bytes : undefined
  }

  const readNow = (block: number, take: (lengthBytes: number) => Uint8Array): Uint8Array | undefined => {
    const known = cached(block)
    if (known !== undefined) return known
    const bytes = spanNow(block, 1, take)
    if (bytes !== undefined && cache.admits(bytes.length)) keep(block, bytes)
    return bytes
  }

  const findNow = (block: number, key: string): cellLines.Line | undefined | typeof mustRead => {
    const known = cached(block)
    if (known !== undefined) return cellLines.find(known, key)
    const bytes = spanNow(block, 1, takeScratch)
    if (bytes === undefined) return mustRead
    if (cache.admits(bytes.length)) return cellLines.find(keep(block, bytes), key)
    const line = cellLines.find(bytes, key)
    return line === undefined ? undefined : cellLines.detach(line)
  }

  const cached = (block: number) => cache.get(slots, block)

  const keep = (block: number, bytes: Uint8Array) => cache.put(slots, block, bytes)

  return {
    ...index.properties,
    id,
    path,
    index,
    damaged,
    failing: () => unreadable.failing,
    retryUnreadable: () => {
      const block = unreadable.suspect
      return block === undefined ? undefined : Effect.ignore(readVerified(block, block + 1))
    },
    findNow,
    readNow,
    read: (block) =>
      Effect.suspend(() => {
        const known = cached(block)
        return known === undefined
          ? Effect.map(
            readVerified(block, block + 1),
            (bytes) => cache.admits(bytes.length) ? keep(block, bytes) : bytes
          )
          : Effect.succeed(known)
      }),
    span: (block, count) => Effect.suspend(() => readVerified(block, block + count)),
    spanNow,
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
}
