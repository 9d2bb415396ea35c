/**
 * The cells that came since the last flush, by key, and the logs that hold them until a table does.
 *
 * A plain `Map`: looked up for every read and write, sorted once, when it is flushed. Each key has an entry that also
 * holds what the writer's round under way wants to put there, so a round looks each key up once.
 *
 * Invariant
 * - A reader takes an entry's `cell` and never its `pending`, which is set only between a round's decision and its end.
 */
import type { Cell } from "../../domain/Cell.ts"

export interface Entry {
  /** What readers see; `undefined` only while the key's first cell is pending. */
  cell: Cell | undefined
  /** Accepted, but not logged yet. */
  pending: Cell | undefined
  /** What `cell` counts for; looking at it again would cost more than keeping it. */
  sizeBytes: number
}

export interface Memtable {
  readonly entries: Map<string, Entry>
  sizeBytes: number
  /** Logs with a lower number hold nothing of this memtable. */
  readonly firstLog: number
  readonly logs: Array<string>
  /** What its cells took in the logs. */
  logBytes: number
}

/** What an entry costs beside its key and value, about: the objects of the cell and its version, and the map's slot. */
const entryBytes = 160

export const make = (firstLog: number): Memtable => ({
  entries: new Map(),
  sizeBytes: 0,
  firstLog,
  logs: [],
  logBytes: 0
})

/** The cell that readers see. */
export const get = ({ entries }: Memtable, key: string): Cell | undefined => {
  const entry = entries.get(key)
  return entry === undefined ? undefined : entry.cell
}

/** Makes an entry for a key that has none. Readers do not see it before `publish`. */
export const reserve = ({ entries }: Memtable, cell: Cell): Entry => {
  const entry: Entry = { cell: undefined, pending: cell, sizeBytes: 0 }
  entries.set(cell.key, entry)
  return entry
}

/** Puts the pending cell in the place of the one that readers saw. */
export const publish = (memtable: Memtable, entry: Entry): void => {
  const sizeBytes = sizeBytesOf(entry.pending!)
  memtable.sizeBytes += sizeBytes - entry.sizeBytes
  entry.cell = entry.pending
  entry.pending = undefined
  entry.sizeBytes = sizeBytes
}

/** Forgets the pending cell. */
export const withdraw = ({ entries }: Memtable, entry: Entry): void => {
  if (entry.cell === undefined) entries.delete(entry.pending!.key)
  entry.pending = undefined
}

/** Puts a cell in the place of any older one of its key. */
export const set = (memtable: Memtable, cell: Cell): void => {
  const entry = memtable.entries.get(cell.key)
  if (entry !== undefined) entry.pending = cell
  publish(memtable, entry ?? reserve(memtable, cell))
}

/** What readers see, in no order. */
export const cellsOf = ({ entries }: Memtable): Array<Cell> => {
  const cells: Array<Cell> = []
  for (const { cell } of entries.values()) {
    if (cell !== undefined) cells.push(cell)
  }
  return cells
}

const sizeBytesOf = ({ key, value }: Cell): number =>
  entryBytes + key.length + (value === undefined ? 0 : value.bytes.length + value.contentType.length)
