/**
 * Writes a table from cells that come in key order, and makes it durable before anyone may refer to it.
 */
import { Effect } from "effect"
import { crc32 } from "node:zlib"
import * as Cell from "../../domain/Cell.ts"
import * as CellLine from "../../domain/CellLine.ts"
import type { Key } from "../../domain/Key.ts"
import { type AppendHandle, type Disk } from "../Disk.ts"
import type { StorageError } from "../StorageError.ts"
import * as Bloom from "./Bloom.ts"
import type { Line } from "./cellLines.ts"
import { dataPath, indexPath } from "./Table.ts"
import * as TableIndex from "./TableIndex.ts"

/** A block is what one look-up reads: small enough to search quickly, large enough for a small index. */
export const blockBytesTarget = 16 * 1024

/** How much is collected before it is handed to the disk. */
const appendBytesTarget = 256 * 1024

/** What one UTF-16 unit takes at most. */
const utf8BytesPerUnitMax = 3

const lineFeed = 0x0a

export interface TableWriter {
  /** Takes the next cell. */
  readonly add: (cell: Cell.Cell) => void
  /** The same, of a cell whose line stands in a block already; its bytes are copied. */
  readonly copy: (key: Key, counter: number, isTombstone: boolean, line: Line) => void
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
  let target = CellLine.makeTarget(appendBytesTarget + 4 * blockBytesTarget)
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
    const bytes = target.bytes.subarray(blockStart, filled)
    blocks.push({
      firstKey: blockKey,
      offsetBytes: offsetBytes + blockStart,
      lengthBytes: bytes.length,
      crc32: crc32(bytes)
    })
    blockStart = filled
    blockKey = undefined
  }

  const makeRoom = (bytes: number) => {
    if (filled - blockStart >= blockBytesTarget) endBlock()
    if (filled + bytes <= target.bytes.length) return
    const larger = CellLine.makeTarget(Math.max(target.bytes.length * 2, filled + bytes))
    target.bytes.copy(larger.bytes, 0, 0, filled)
    target = larger
  }

  const writeLine = (cell: Cell.Cell) => {
    makeRoom(CellLine.plainSizeMax(cell) + 1)
    const end = CellLine.writePlain(cell, target, filled)
    if (end === undefined) writeAnyLine(CellLine.encode(cell))
    else filled = end
    target.bytes[filled++] = lineFeed
  }

  const writeAnyLine = (line: string) => {
    makeRoom(line.length * utf8BytesPerUnitMax + 1)
    filled += target.bytes.write(line, filled)
  }

  const record = (key: Key, counter: number, isTombstone: boolean) => {
    blockKey ??= key
    keyMin ??= key
    keyMax = key
    cells++
    if (isTombstone) tombstones++
    if (counter > counterMax) counterMax = counter
    Bloom.add(bloom, Bloom.hash(key))
  }

  const drain = Effect.suspend(() => {
    endBlock()
    const bytes = target.bytes.subarray(0, filled)
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
    add: (cell) => {
      writeLine(cell)
      record(cell.key, cell.version.counter, Cell.isTombstone(cell))
    },
    copy: (key, counter, isTombstone, { block, end, start }) => {
      makeRoom(end + 1 - start)
      filled += block.copy(target.bytes, filled, start, end + 1)
      record(key, counter, isTombstone)
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
