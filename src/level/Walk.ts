/**
 * A walk over a range of a view: reads ahead, so most steps find their cell in memory.
 *
 * The cursor is opened at the first step. A seek drops what was read ahead and moves the cursor at the next step.
 */
import { Effect } from "effect"
import type { Cell } from "../domain/cell/Cell.ts"
import type { Cursor, View } from "../storage/Storage.ts"
import type { Bridge } from "./Bridge.ts"
import * as keys from "./keys.ts"
import * as LevelError from "./LevelError.ts"
import * as range from "./range.ts"

export interface Options extends range.Range {
  readonly reverse: boolean
  /** Negative when there is none. */
  readonly limit: number
  readonly signal?: AbortSignal | undefined
}

/** The cells read ahead are at most this many, ... */
const cellsAheadMax = 256
/** ... and about this many bytes, going by those before them. */
const bytesAheadMax = 1024 * 1024
/** The first step reads just its cell, since many callers want no more; then each reads this many times as many. */
const growth = 4
/** Of the cells that a caller wants at once, this many are read in one go. */
const cellsPerReadMax = 512

export class Walk<Item> {
  private readonly bridge: Bridge
  private readonly view: View
  private readonly itemOf: (cell: Cell) => Item
  private readonly bounds: range.Bounds
  private readonly reverse: boolean
  private readonly signal: AbortSignal | undefined
  private cursor: Cursor | undefined
  private cells: ReadonlyArray<Cell> = []
  private position = 0
  private cellsAhead = 1
  /** How many more the caller can want. */
  private left: number
  private target: string | undefined
  private ended = false

  constructor(bridge: Bridge, view: View, options: Options, itemOf: (cell: Cell) => Item) {
    this.bridge = bridge
    this.view = view
    this.itemOf = itemOf
    this.bounds = range.boundsOf(options)
    this.reverse = options.reverse
    this.left = options.limit < 0 ? Infinity : options.limit
    this.signal = options.signal
  }

  /** The next item, or `undefined` at the end. */
  take(): Item | undefined | Promise<Item | undefined> {
    return this.position < this.cells.length ? this.takeRead() : this.readAndTake()
  }

  /** The next items, fewer only at the end. */
  async takeMany(count: number): Promise<Array<Item>> {
    const items: Array<Item> = []
    while (items.length < count) {
      if (this.position === this.cells.length && !await this.read(Math.min(count - items.length, cellsPerReadMax))) {
        break
      }
      const end = Math.min(this.cells.length, this.position + count - items.length)
      while (this.position < end) items.push(this.takeRead())
    }
    return items
  }

  /** Goes on at the target, or, when that is out of range, at the end. */
  seek(target: keys.Bytes): void {
    const key = keys.encode(target)
    this.cells = []
    this.position = 0
    this.cellsAhead = 1
    this.target = key
    this.ended = !range.contains(this.bounds, key)
  }

  private async readAndTake(): Promise<Item | undefined> {
    if (!await this.read(Math.min(this.cellsAhead, this.left))) return undefined
    let bytes = 1
    for (const { value } of this.cells) bytes += value === undefined ? 0 : value.bytes.length
    const cellsMax = Math.min(cellsAheadMax, Math.ceil(this.cells.length * bytesAheadMax / bytes))
    this.cellsAhead = Math.min(this.cellsAhead * growth, cellsMax)
    return this.takeRead()
  }

  private takeRead(): Item {
    this.left--
    return this.itemOf(this.cells[this.position++]!)
  }

  /** Whether there were cells left to read. */
  private async read(countMax: number): Promise<boolean> {
    if (this.ended) return false
    this.cells = await this.bridge.run(this.nextCells(countMax), { signal: this.signal, cells: countMax })
    this.position = 0
    if (this.signal?.aborted === true) throw LevelError.aborted()
    this.ended = this.cells.length === 0
    return !this.ended
  }

  private nextCells(countMax: number) {
    return Effect.gen({ self: this }, function*() {
      this.cursor ??= yield* this.view.cursor({ ...this.bounds, reverse: this.reverse, tombstones: false })
      const { target } = this
      this.target = undefined
      if (target !== undefined) yield* this.cursor.seek(target)
      return yield* this.cursor.next(countMax)
    })
  }
}
