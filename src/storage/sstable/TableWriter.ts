/**
 * Writes a table from lines that come in key order, and makes it durable before anyone may refer to it.
 */
import { Effect } from "effect"
import { crc32 } from "node:zlib"
import type { Key } from "../../domain/Key.ts"
import { type AppendHandle, type Disk } from "../Disk.ts"
import type { StorageError } from "../StorageError.ts"
import * as Bloom from "./Bloom.ts"
import { dataPath, indexPath } from "./Table.ts"
import * as TableIndex from "./TableIndex.ts"

/** A block is what one look-up reads: small enough to search quickly, large enough for a small index. */
export const blockBytesTarget = 16 * 1024

/** How much is collected before it is handed to the disk. */
const appendBytesTarget = 256 * 1024

export interface TableWriter {
  /** Takes one line, its line feed included. The bytes are copied. */
  readonly add: (key: Key, counter: number, isTombstone: boolean, line: Uint8Array) => void
  /** Whether `drain` has enough to do. */
  readonly isFull: () => boolean
  /** Hands what was collected to the disk. */
  readonly drain: Effect.Effect<void, StorageError>
  /** Completes the table: after this both its files and their names are durable. */
  readonly finish: Effect.Effect<void, StorageError>
  /** Closes and removes what was written of a table that will not be used. */
  readonly abandon: Effect.Effect<void>
}

/** `cellsMax` bounds the cells that will be added; the Bloom filter is made for it. */
export const open = Effect.fnUntraced(function*(
  disk: Disk["Service"],
  directory: string,
  id: number,
  cellsMax: number
) {
  const handle = yield* disk.openAppend(dataPath(directory, id), { empty: true })
  return make(disk, directory, id, cellsMax, handle)
})

const make = (
  disk: Disk["Service"],
  directory: string,
  id: number,
  cellsMax: number,
  handle: AppendHandle
): TableWriter => {
  const bloom = Bloom.make(cellsMax)
  const blocks: Array<TableIndex.Block> = []
  let buffer = Buffer.allocUnsafeSlow(appendBytesTarget + 4 * blockBytesTarget)
  let filled = 0
  let blockStart = 0
  let blockKey: Key | undefined
  let offsetBytes = 0
  let cells = 0
  let tombstones = 0
  let counterMax = 0
  let keyMin: Key | undefined
  let keyMax: Key | undefined

  const endBlock = () => {
    if (blockKey === undefined) return
    const bytes = buffer.subarray(blockStart, filled)
    blocks.push({
      firstKey: blockKey,
      offsetBytes: offsetBytes + blockStart,
      lengthBytes: bytes.length,
      crc32: crc32(bytes)
    })
    blockStart = filled
    blockKey = undefined
  }

  const grow = (bytes: number) => {
    const larger = Buffer.allocUnsafeSlow(Math.max(buffer.length * 2, filled + bytes))
    buffer.copy(larger, 0, 0, filled)
    buffer = larger
  }

  const drain = Effect.suspend(() => {
    endBlock()
    const bytes = buffer.subarray(0, filled)
    return Effect.andThen(
      handle.append(bytes),
      Effect.sync(() => {
        offsetBytes += bytes.length
        filled = 0
        blockStart = 0
      })
    )
  })

  const writeIndex = Effect.suspend(() => {
    const index = TableIndex.encode({
      properties: { cells, tombstones, keyMin: keyMin!, keyMax: keyMax!, counterMax, sizeBytes: offsetBytes },
      blocks,
      bloom
    })
    return Effect.acquireUseRelease(
      disk.openAppend(indexPath(directory, id), { empty: true }),
      (indexHandle) => Effect.andThen(indexHandle.append(index), indexHandle.sync),
      (indexHandle) => indexHandle.close
    )
  })

  return {
    add: (key, counter, isTombstone, line) => {
      if (filled - blockStart >= blockBytesTarget) endBlock()
      if (filled + line.length > buffer.length) grow(line.length)
      buffer.set(line, filled)
      filled += line.length
      blockKey ??= key
      keyMin ??= key
      keyMax = key
      cells++
      if (isTombstone) tombstones++
      if (counter > counterMax) counterMax = counter
      Bloom.add(bloom, Bloom.hash(key))
    },
    isFull: () => filled >= appendBytesTarget,
    drain,
    finish: Effect.gen(function*() {
      yield* drain
      yield* handle.sync
      yield* handle.close
      yield* writeIndex
      yield* disk.syncDirectory(directory)
    }),
    abandon: handle.close.pipe(
      Effect.andThen(disk.remove(dataPath(directory, id))),
      Effect.andThen(disk.remove(indexPath(directory, id))),
      Effect.ignore
    )
  }
}
