/**
 * Writes a table from cells that come in key order, and makes it durable before anyone may refer to it.
 */
import { Effect } from "effect"
import type { AppendHandle, Disk } from "../../disk/Disk.ts"
import type { StorageError } from "../../disk/StorageError.ts"
import * as Bytes from "../../domain/bytes.ts"
import * as Cell from "../../domain/cell/Cell.ts"
import * as CellLine from "../../domain/cell/CellLine.ts"
import * as cellLines from "../../domain/cell/cellLines.ts"
import * as Bloom from "./Bloom.ts"
import { dataPath, indexPath } from "./Table.ts"
import * as TableIndex from "./TableIndex.ts"

export interface Settings {
  /** A block is what one look-up reads: it ends with the line that reaches this size. */
  readonly blockBytes: number
  readonly bloomBitsPerKey: number
}

export const defaults: Settings = { blockBytes: 4 * 1024, bloomBitsPerKey: Bloom.bitsPerKeyDefault }

/** How much is collected before it is handed to the disk. */
const appendBytesTarget = 256 * 1024

/** The most that one UTF-16 unit takes. */
const utf8BytesPerUnitMax = 3

/** Keys put into the filter in about a millisecond. */
const keysPerSlice = 8192

const lineFeed = 0x0a

export interface TableWriter {
  /** Takes the next cell. */
  readonly add: (cell: Cell.Cell) => void
  /** The same, of a cell whose line stands in a block already, up to its line feed at `end`; its bytes are copied. */
  readonly copy: (block: Uint8Array, start: number, end: number, hash: Bloom.KeyHash, counter: number) => void
  /** Whether `drain` has enough to do. */
  readonly isFull: () => boolean
  /** The lines taken so far. */
  readonly sizeBytes: () => number
  /** Hands what was collected to the disk. */
  readonly drain: Effect.Effect<void, StorageError>
  /** Completes the table, which has at least one cell: after this its files are durable, their names not yet. */
  readonly finish: Effect.Effect<void, StorageError>
  /** Closes and removes what was written of a table that will not be used. */
  readonly abandon: Effect.Effect<void>
}

export const open = Effect.fnUntraced(function*(
  disk: Disk["Service"],
  directory: string,
  id: number,
  settings: Settings
) {
  const handle = yield* disk.openAppend(dataPath(directory, id), { empty: true })
  return make(disk, directory, id, settings, handle)
})

const make = (
  disk: Disk["Service"],
  directory: string,
  id: number,
  settings: Settings,
  handle: AppendHandle
): TableWriter => {
  const { blockBytes } = settings
  const firstKeys: Array<string> = []
  const lengths: Array<number> = []
  const checksums: Array<number> = []
  // Two for each key; the filter is made last, when their number is known.
  let hashes = new Int32Array(4096)
  let target = CellLine.makeTarget(appendBytesTarget + 4 * blockBytes)
  let filled = 0
  let blockStart = 0
  /** Where the last line begins, of those in `target`. */
  let lineStart = 0
  let keyMax: string | undefined
  let offsetBytes = 0
  let cells = 0
  let tombstones = 0
  let counterMax = 0

  const endBlock = () => {
    if (blockStart === filled) return
    const bytes = target.bytes.subarray(blockStart, filled)
    firstKeys.push(keyOfLine(blockStart))
    keyMax = keyOfLine(lineStart)
    lengths.push(bytes.length)
    checksums.push(Bytes.crc32(bytes))
    blockStart = filled
  }

  const keyOfLine = (start: number) => cellLines.keyOf(cellLines.at(target.bytes, start))

  const makeRoom = (bytes: number) => {
    if (filled - blockStart >= blockBytes) endBlock()
    if (filled + bytes <= target.bytes.length) return
    const larger = CellLine.makeTarget(Math.max(target.bytes.length * 2, filled + bytes))
    larger.bytes.set(target.bytes.subarray(0, filled))
    target = larger
  }

  const writeLine = (cell: Cell.Cell) => {
    makeRoom(CellLine.plainBytesMax(cell) + 1)
    lineStart = filled
    const end = CellLine.writePlain(cell, target, filled)
    if (end === undefined) writeAnyLine(CellLine.encode(cell))
    else filled = end
    target.bytes[filled++] = lineFeed
  }

  const writeAnyLine = (line: string) => {
    makeRoom(line.length * utf8BytesPerUnitMax + 1)
    lineStart = filled
    filled += Bytes.writeUtf8(target.bytes, line, filled)
  }

  const record = ({ first, second }: Bloom.KeyHash, counter: number, isTombstone: boolean) => {
    if (2 * cells === hashes.length) {
      const larger = new Int32Array(2 * hashes.length)
      larger.set(hashes)
      hashes = larger
    }
    hashes[2 * cells] = first
    hashes[2 * cells + 1] = second
    cells++
    if (isTombstone) tombstones++
    if (counter > counterMax) counterMax = counter
  }

  const append = Effect.suspend(() => {
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

  const drain = Effect.suspend(() => {
    endBlock()
    return append
  })

  const makeFilter = Effect.gen(function*() {
    const bloom = Bloom.make(cells, settings.bloomBitsPerKey)
    for (let index = 0; index < cells; index++) {
      if (index % keysPerSlice === keysPerSlice - 1) yield* Effect.yieldNow
      Bloom.addHash(bloom, hashes[2 * index]!, hashes[2 * index + 1]!)
    }
    return bloom
  })

  /** The last line of the file says what it is; readers of cells stop before it. */
  const writeFooter = Effect.suspend(() => {
    filled += Bytes.writeUtf8(
      target.bytes,
      `{"format":"${TableIndex.format}","cells":${cells},"tombstones":${tombstones}}\n`,
      0
    )
    blockStart = filled
    return append
  })

  const writeIndex = Effect.fnUntraced(function*(bloom: Bloom.Bloom) {
    const properties = { cells, tombstones, keyMin: firstKeys[0]!, keyMax: keyMax!, counterMax, sizeBytes: offsetBytes }
    const index = TableIndex.encode({
      properties: properties as TableIndex.TableProperties,
      firstKeys,
      offsets: TableIndex.offsetsOf(lengths),
      checksums: Uint32Array.from(checksums),
      bloom
    })
    yield* Effect.acquireUseRelease(
      disk.openAppend(indexPath(directory, id), { empty: true }),
      (indexHandle) => Effect.andThen(indexHandle.append(index), indexHandle.sync),
      (indexHandle) => indexHandle.close
    )
  })

  return {
    add: (cell) => {
      writeLine(cell)
      record(Bloom.hash(cell.key), cell.version.counter, Cell.isTombstone(cell))
    },
    copy: (block, start, end, hash, counter) => {
      makeRoom(end + 1 - start)
      lineStart = filled
      Bytes.copy(block, target.bytes, filled, start, end + 1)
      filled += end + 1 - start
      record(hash, counter, cellLines.isTombstoneAt(block, end))
    },
    isFull: () => filled >= appendBytesTarget,
    sizeBytes: () => offsetBytes + filled,
    drain,
    finish: Effect.gen(function*() {
      yield* drain
      yield* writeFooter
      yield* handle.sync
      yield* handle.close
      yield* writeIndex(yield* makeFilter)
    }),
    abandon: Effect.andThen(handle.close, remove(disk, directory, id))
  }
}

/** Removes a table's files, as far as that is possible: what stays is garbage that the next start removes. */
export const remove = (disk: Disk["Service"], directory: string, id: number): Effect.Effect<void> =>
  Effect.andThen(
    Effect.ignore(disk.remove(dataPath(directory, id))),
    Effect.ignore(disk.remove(indexPath(directory, id)))
  )
