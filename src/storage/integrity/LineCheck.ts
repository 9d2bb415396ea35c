/**
 * Whether the lines of a table are what its index says: cells, in the order of their keys, each found by the block
 * index and the filter. Checksums tell whether the disk gave back what was written; this tells whether that was right.
 *
 * Pure, and fed with the table's blocks in order.
 */
import * as Bytes from "../../domain/bytes.ts"
import * as CellLine from "../../domain/cell/CellLine.ts"
import * as cellLines from "../../domain/cell/cellLines.ts"
import { compare } from "../../domain/Key.ts"
import * as Bloom from "../sstable/Bloom.ts"
import type { Table } from "../sstable/Table.ts"

export class LineCheck {
  private cells = 0
  private tombstones = 0
  private previous: string | undefined
  /** A block that was left out makes the totals meaningless. */
  private isWhole = true
  private readonly table: Table

  constructor(table: Table) {
    this.table = table
  }

  /** A block cannot be read, or only in part. */
  skip(): void {
    this.isWhole = false
  }

  /** The fault of a block, if it has one. */
  block(number: number, bytes: Uint8Array): string | undefined {
    const firstKey = this.table.index.firstKeys[number]!
    for (let start = 0; start < bytes.length;) {
      const end = cellLines.endOf(bytes, start)
      const cell = CellLine.decode(Bytes.utf8(bytes, start, end))
      if (cell === undefined) return "a line is not a cell"
      if (start === 0 && cell.key !== firstKey) {
        return `the index says that it begins with ${JSON.stringify(firstKey)}, which it does not`
      }
      const problem = this.cell(cell.key, cell.version.counter)
      if (problem !== undefined) return problem
      this.cells++
      if (cell.value === undefined) this.tombstones++
      start = end + 1
    }
    return undefined
  }

  /** The fault of the table as a whole, if it has one. */
  end(): string | undefined {
    const { cells, keyMax, tombstones } = this.table
    if (!this.isWhole) return undefined
    if (this.cells !== cells || this.tombstones !== tombstones) {
      return `it has ${this.cells} cells and ${this.tombstones} tombstones, its index says ${cells} and ${tombstones}`
    }
    return this.previous === keyMax ? undefined : `its last key is not ${JSON.stringify(keyMax)}, as its index says`
  }

  private cell(key: string, counter: number): string | undefined {
    const { counterMax, index } = this.table
    const isInOrder = this.previous === undefined || compare(this.previous, key) < 0
    this.previous = key
    if (!isInOrder) return `the key ${JSON.stringify(key)} is out of order`
    if (!Bloom.admits(index.bloom, Bloom.hash(key))) return `the filter does not know the key ${JSON.stringify(key)}`
    return counter > counterMax ? `the key ${JSON.stringify(key)} has a counter above ${counterMax}` : undefined
  }
}
