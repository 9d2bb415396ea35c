/**
 * The cells that came since the last flush, by key, and the logs that hold them until a table does.
 *
 * A plain `Map`: looked up for every read and write, sorted once, when it is flushed.
 */
import type { Cell } from "../../domain/Cell.ts"

export interface Memtable {
  readonly cells: Map<string, Cell>
  sizeBytes: number
  /** Logs with a lower number hold nothing of this memtable. */
  readonly firstLog: number
  readonly logs: Array<string>
  /** What its cells took in the logs. */
  logBytes: number
}

/** What an entry costs beside its key and value: the objects of the cell, its version and the map's slot. */
const entryBytes = 160

export const make = (firstLog: number): Memtable => ({
  cells: new Map(),
  sizeBytes: 0,
  firstLog,
  logs: [],
  logBytes: 0
})

/** Puts a cell in the place of any older one of its key. */
export const set = (memtable: Memtable, cell: Cell): void => {
  const { cells } = memtable
  const before = cells.get(cell.key)
  if (before !== undefined) memtable.sizeBytes -= sizeBytesOf(before)
  cells.set(cell.key, cell)
  memtable.sizeBytes += sizeBytesOf(cell)
}

export const sizeBytesOf = ({ key, value }: Cell): number =>
  entryBytes + key.length + (value === undefined ? 0 : value.bytes.length + value.contentType.length)
