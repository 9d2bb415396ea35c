/**
 * One sorted run of tables as lines of bytes: what compaction merges. No line is decoded, and a key becomes a text only
 * when bytes alone do not tell the order.
 *
 * Blocks that cannot be read are passed over and reported, so that what is damaged does not stop the rest.
 */
import { Effect } from "effect"
import { type Corruption, isUnreadable, type StorageError } from "../../disk/StorageError.ts"
import * as Bytes from "../../domain/bytes.ts"
import * as Cell from "../../domain/cell/Cell.ts"
import * as cellLines from "../../domain/cell/cellLines.ts"
import { compare, type Key } from "../../domain/Key.ts"
import * as Version from "../../domain/Version.ts"
import * as Holes from "../manifest/Holes.ts"
import type { Order, Source } from "../merge/Merger.ts"
import * as Bloom from "../sstable/Bloom.ts"
import type { Table } from "../sstable/Table.ts"
import * as TableIndex from "../sstable/TableIndex.ts"

/** Read at once: large enough that the disk works in long strokes, small enough that many sources fit into memory. */
const spanBytes = 256 * 1024

const backslash = 0x5c

export class LineSource implements Source {
  block: Uint8Array = Bytes.none
  /** Where the line begins, and where the line feed behind it stands. */
  start = 0
  end = -1
  keyEnd = 0
  /** Whether the key's bytes are in the order of the keys: JSON escapes nothing in it. */
  isUnescaped = true
  private table = 0
  private nextBlock = 0
  private readonly run: ReadonlyArray<Table>
  private readonly lost: (hole: Holes.Hole) => void

  constructor(run: ReadonlyArray<Table>, lost: (hole: Holes.Hole) => void) {
    this.run = run
    this.lost = lost
  }

  isOut(): boolean {
    return this.end === -1
  }

  mustLoad(): boolean {
    return this.end === -1 && this.table < this.run.length
  }

  advance(): void {
    if (this.end + 1 < this.block.length) this.stand(this.end + 1)
    else this.end = -1
  }

  /** Where the version begins. */
  versionStart(): number {
    return this.keyEnd + versionOffset
  }

  line(): cellLines.Line {
    return { block: this.block, start: this.start, end: this.end, versionStart: this.versionStart() }
  }

  hash(): Bloom.KeyHash {
    const { block, keyEnd, start } = this
    for (let index = start + cellLines.keyStart; index < keyEnd; index++) {
      if (block[index]! >= 0x80) return Bloom.hash(this.key())
    }
    return this.isUnescaped ? Bloom.hashAscii(block, start + cellLines.keyStart, keyEnd) : Bloom.hash(this.key())
  }

  key(): Key {
    return cellLines.keyBetween(this.block, this.start + cellLines.keyStart, this.keyEnd)
  }

  readonly load: Effect.Effect<void, StorageError> = Effect.suspend(() => {
    const table = this.run[this.table]!
    const first = this.nextBlock
    const end = TableIndex.spanEnd(table.index, first, spanBytes)
    if (end - first === 1) return this.loadOne(table, first)
    return Effect.catchIf(
      this.take(table, first, end),
      (error) => error._tag === "Corruption" || isUnreadable(error),
      () => this.loadOne(table, first)
    )
  })

  private loadOne(table: Table, block: number): Effect.Effect<void, StorageError> {
    return Effect.catchTag(
      this.take(table, block, block + 1),
      "Corruption",
      (error) => this.passOver(table, block, error)
    )
  }

  private take(table: Table, first: number, end: number): Effect.Effect<void, StorageError> {
    return Effect.map(table.span(first, end - first), (bytes) => {
      this.step(table, end)
      this.block = bytes
      this.stand(0)
    })
  }

  private passOver(table: Table, block: number, error: Corruption): Effect.Effect<void, StorageError> {
    return Effect.suspend(() => {
      this.lost(Holes.ofBlock(table, block, error))
      this.step(table, block + 1)
      return this.mustLoad() ? this.load : Effect.void
    })
  }

  private step(table: Table, end: number): void {
    const isLast = end === TableIndex.blockCount(table.index)
    if (isLast) this.table++
    this.nextBlock = isLast ? 0 : end
  }

  private stand(start: number): void {
    const { block } = this
    this.start = start
    this.isUnescaped = true
    let index = start + cellLines.keyStart
    for (let byte = block[index]; byte !== quote && byte !== undefined; byte = block[++index]) {
      if (byte === backslash) {
        this.isUnescaped = false
        index++
      }
    }
    this.keyEnd = index
    this.end = cellLines.endOf(block, index)
  }
}

const quote = 0x22
/** From the quotation mark behind the key to the version. */
const versionOffset = `","version":"`.length

const compareKeys = (left: LineSource, right: LineSource): number => {
  if (!left.isUnescaped || !right.isUnescaped) return compare(left.key(), right.key())
  const leftBlock = left.block
  const rightBlock = right.block
  const leftStart = left.start + cellLines.keyStart
  const rightStart = right.start + cellLines.keyStart
  const leftLength = left.keyEnd - leftStart
  const rightLength = right.keyEnd - rightStart
  const length = Math.min(leftLength, rightLength)
  for (let index = 0; index < length; index++) {
    const difference = leftBlock[leftStart + index]! - rightBlock[rightStart + index]!
    if (difference !== 0) return difference
  }
  return leftLength - rightLength
}

const isNewer = (left: LineSource, right: LineSource): boolean => {
  const leftLine = left.line()
  const rightLine = right.line()
  const byVersion = Version.compare(cellLines.versionUnsafe(leftLine), cellLines.versionUnsafe(rightLine))
  return byVersion !== 0
    ? byVersion > 0
    : Cell.compare(cellLines.cellUnsafe(leftLine), cellLines.cellUnsafe(rightLine)) > 0
}

export const order: Order<LineSource> = { compare: compareKeys, isNewer }
