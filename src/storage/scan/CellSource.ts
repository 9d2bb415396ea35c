/**
 * Sources of cells for a cursor: a run of a memtable or of tables, in either direction, cell by cell.
 */
import { Effect } from "effect"
import type { StorageError } from "../../disk/StorageError.ts"
import * as Bytes from "../../domain/bytes.ts"
import type { Cell } from "../../domain/cell/Cell.ts"
import * as cellLines from "../../domain/cell/cellLines.ts"
import { compare, isBasic, type Key } from "../../domain/Key.ts"
import type { Version } from "../../domain/Version.ts"
import * as Levels from "../Levels.ts"
import * as Memtable from "../memtable/Memtable.ts"
import * as SortedRuns from "../memtable/SortedRuns.ts"
import type { Source } from "../merge/Merger.ts"
import type { Table } from "../sstable/Table.ts"
import * as TableIndex from "../sstable/TableIndex.ts"
import * as spans from "./spans.ts"

export interface Bound {
  readonly key: string
  readonly included: boolean
}

export interface CellSource extends Source {
  /** The key it stands at, when it is not out. */
  readonly key: () => string
  /** Whether JavaScript's `<` orders that key among all others as their bytes do. */
  readonly isBasic: () => boolean
  readonly version: () => Version
  readonly cell: () => Cell
  /**
   * Goes to the first key in its direction that is not before the bound: forward at or above it, in reverse at or below
   * it (or strictly so). Without one, to the beginning.
   */
  readonly seek: (bound: Bound | undefined) => void
  /** Loads without waiting, if that is possible. */
  readonly loadNow: () => void
  readonly load: Effect.Effect<void, StorageError>
}

/** A run of a memtable, as a view of that round sees it. */
export class MemtableSource implements CellSource {
  private index = 0
  private current: Cell | undefined
  private readonly run: ReadonlyArray<Memtable.Entry>
  private readonly sequence: number
  private readonly step: 1 | -1

  constructor(run: ReadonlyArray<Memtable.Entry>, sequence: number, reverse: boolean) {
    this.run = run
    this.sequence = sequence
    this.step = reverse ? -1 : 1
  }

  readonly load = Effect.void
  loadNow(): void {}
  mustLoad(): boolean {
    return false
  }
  isOut(): boolean {
    return this.current === undefined
  }
  key(): string {
    return this.current!.key
  }
  isBasic(): boolean {
    return isBasic(this.current!.key)
  }
  version(): Version {
    return this.current!.version
  }
  cell(): Cell {
    return this.current!
  }
  advance(): void {
    this.index += this.step
    this.settle()
  }

  seek(bound: Bound | undefined): void {
    const { run } = this
    if (this.step === 1) {
      this.index = bound === undefined ? 0 : SortedRuns.firstNotBelow(run, bound.key)
      if (bound?.included === false && run[this.index]?.key === bound.key) this.index++
    } else {
      this.index = bound === undefined ? run.length : SortedRuns.firstNotBelow(run, bound.key)
      const isAt = bound?.included === true && run[this.index]?.key === bound.key
      if (!isAt) this.index--
    }
    this.settle()
  }

  /** Goes on to an entry that the view sees. */
  private settle(): void {
    const { run, sequence, step } = this
    this.current = undefined
    for (let index = this.index; index >= 0 && index < run.length; index += step) {
      this.current = Memtable.visible(run[index]!, sequence)
      if (this.current !== undefined) {
        this.index = index
        return
      }
    }
  }
}

/** Blocks that a scan reads one by one and through the cache, as look-ups do, before it counts as a long one. */
const blocksAlone = 8

/** Blocks that a long scan reads at once, past the cache: it must not push out those that look-ups need. */
const blocksTogether = 8

/** One sorted run of tables. The caller retains them meanwhile. */
export class TableSource implements CellSource {
  /** Which table and which of its blocks come next. */
  private table = 0
  private block = 0
  /** Keys before it are passed over at the next load, because a seek went past them. */
  private bound: Bound | undefined
  private blocksRead = 0
  private bytes: Uint8Array | undefined
  private line: cellLines.Line | undefined
  private currentKey: Key | undefined
  private isPlain = false
  private memory: Uint8Array = Bytes.none
  /** Where the lines of `bytes` begin, in reverse, and how many are still to come. */
  private starts: Array<number> = []
  private readonly run: ReadonlyArray<Table>
  private readonly reverse: boolean
  private readonly skipDamage: boolean

  constructor(run: ReadonlyArray<Table>, reverse: boolean, skipDamage: boolean) {
    this.run = run
    this.reverse = reverse
    this.skipDamage = skipDamage
  }

  isOut(): boolean {
    return this.line === undefined
  }
  mustLoad(): boolean {
    return this.line === undefined && this.table >= 0 && this.table < this.run.length
  }
  key(): string {
    return this.currentKey!
  }
  isBasic(): boolean {
    return this.isPlain
  }
  version(): Version {
    return cellLines.versionUnsafe(this.line!)
  }
  /** It outlives the memory that its line was read into. */
  cell(): Cell {
    return cellLines.cellUnsafe(this.line!, true)
  }

  /** The memory of the lines before, which are all passed by now: cells that were given out have copies. */
  private readonly takeMemory = (lengthBytes: number): Uint8Array => {
    if (this.memory.length < lengthBytes) this.memory = spans.take(lengthBytes)
    return this.memory
  }

  /** Gives its memory back. It must not be used any more. */
  close(): void {
    spans.give(this.memory)
    this.memory = Bytes.none
    this.leaveBytes()
    this.table = -1
  }

  seek(bound: Bound | undefined): void {
    this.bytes = undefined
    this.line = undefined
    this.bound = bound
    this.blocksRead = 0
    if (this.reverse) this.seekBackward(bound)
    else this.seekForward(bound)
  }

  private seekForward(bound: Bound | undefined): void {
    this.table = bound === undefined ? 0 : Levels.firstNotBelow(this.run, bound.key, isBasic(bound.key))
    const table = this.run[this.table]
    this.block = table === undefined || bound === undefined
      ? 0
      : Math.max(0, TableIndex.blockOf(table.index, bound.key, isBasic(bound.key)))
  }

  private seekBackward(bound: Bound | undefined): void {
    const { run } = this
    this.table = run.length - 1
    if (bound !== undefined) {
      const table = Levels.firstNotBelow(run, bound.key)
      const isInside = table < run.length && compare(run[table]!.keyMin, bound.key) <= 0
      this.table = isInside ? table : table - 1
    }
    const table = run[this.table]
    if (table === undefined) return
    this.block = bound === undefined
      ? TableIndex.blockCount(table.index) - 1
      : TableIndex.blockOf(table.index, bound.key)
  }

  advance(): void {
    const { bytes, line } = this
    if (this.reverse) {
      const start = this.starts.pop()
      if (start === undefined) this.leaveBytes()
      else this.stand(start)
    } else if (line!.end + 1 < bytes!.length) this.stand(line!.end + 1)
    else this.leaveBytes()
  }

  private stand(start: number): void {
    const bytes = this.bytes!
    const keyEnd = cellLines.keyEndOf(bytes, start)
    const keyStart = start + cellLines.keyStart
    this.line = cellLines.behindKey(bytes, start, keyEnd)
    this.isPlain = cellLines.isPlainBetween(bytes, keyStart, keyEnd)
    this.currentKey = this.isPlain
      ? cellLines.plainKeyBetween(bytes, keyStart, keyEnd)
      : cellLines.keyBetween(bytes, keyStart, keyEnd)
  }

  private leaveBytes(): void {
    this.bytes = undefined
    this.line = undefined
  }

  /** The blocks to load next: the first as a look-up does, then several together. */
  private next(): { readonly table: Table; readonly first: number; readonly count: number } {
    const table = this.run[this.table]!
    const blocks = TableIndex.blockCount(table.index)
    const wanted = this.blocksRead < blocksAlone ? 1 : blocksTogether
    const first = this.reverse ? Math.max(0, this.block - wanted + 1) : this.block
    const end = this.reverse ? this.block + 1 : Math.min(blocks, this.block + wanted)
    return { table, first, count: end - first }
  }

  loadNow(): void {
    while (this.mustLoad()) {
      const { count, first, table } = this.next()
      const bytes = count === 1 ? table.readNow(first, this.takeMemory) : table.spanNow(first, count, this.takeMemory)
      if (bytes === undefined) return
      this.take(bytes, count)
    }
  }

  readonly load: Effect.Effect<void, StorageError> = Effect.suspend(() => {
    if (!this.mustLoad()) return Effect.void
    const { count, first, table } = this.next()
    const read = count === 1 ? table.read(first) : table.span(first, count)
    const taken = Effect.map(read, (bytes) => this.take(bytes, count))
    const loaded = Effect.catch(taken, (error) => this.refused(count, error))
    return Effect.andThen(loaded, Effect.suspend(() => this.mustLoad() ? this.load : Effect.void))
  })

  /** One of these blocks cannot be read. Read one by one, each tells whether it is that one. */
  private refused(count: number, error: StorageError): Effect.Effect<void, StorageError> {
    if (count > 1) this.blocksRead = 0
    else if (this.skipDamage && error._tag === "Corruption") this.stepBlocks(1)
    else return Effect.fail(error)
    return Effect.void
  }

  private take(bytes: Uint8Array, count: number): void {
    this.blocksRead += count
    this.bytes = bytes
    this.stepBlocks(count)
    const { bound } = this
    if (this.reverse) {
      this.starts = startsOf(bytes)
      this.stand(this.starts.pop()!)
      while (bound !== undefined && this.line !== undefined && !isWithin(compare(bound.key, this.currentKey!), bound)) {
        this.advance()
      }
    } else {
      this.stand(0)
      while (bound !== undefined && this.line !== undefined && !isWithin(compare(this.currentKey!, bound.key), bound)) {
        this.advance()
      }
    }
    if (this.line !== undefined) this.bound = undefined
  }

  private stepBlocks(count: number): void {
    const { reverse, run } = this
    this.block += reverse ? -count : count
    if (reverse ? this.block >= 0 : this.block < TableIndex.blockCount(run[this.table]!.index)) return
    this.table += reverse ? -1 : 1
    const table = run[this.table]
    this.block = reverse && table !== undefined ? TableIndex.blockCount(table.index) - 1 : 0
  }
}

const isWithin = (distance: number, { included }: Bound): boolean => distance > 0 || (included && distance === 0)

const startsOf = (bytes: Uint8Array): Array<number> => {
  const starts: Array<number> = []
  for (let start = 0; start < bytes.length; start = cellLines.endOf(bytes, start) + 1) starts.push(start)
  return starts
}
