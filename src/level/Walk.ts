/**
 * Walks over a range of a view, and reads ahead, so that most steps find their cell in memory.
 *
 * The first step opens the cursor. A seek drops the cells read ahead, and the next step moves the cursor.
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

const cellsAheadMax = 256
/** Approximate: estimated from the cells before. */
const bytesAheadMax = 1024 * 1024
/** The first step reads one cell, since many callers want no more; each further read is so many times as large. */
const growth = 4
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

  /** Gives fewer items only at the end. */
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

  /** A target out of range ends the walk. */
  seek(target: keys.Bytes): void {
    const key = keys.encode(target)
    this.cells = []
    this.position = 0
    this.cellsAhead = 1
    this.target = key
    this.ended = !range.contains(this.bounds, key)
  }

  async close(): Promise<void> {
    if (this.cursor !== undefined) await this.bridge.run(this.cursor.close)
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

  /** Returns whether there were cells to read. */
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
