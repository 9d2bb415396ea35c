/**
 * The cells that came since the last flush, by key and in key order, and the logs that hold them until a table does.
 *
 * A plain `Map`, looked up for every read and write, beside sorted runs of its entries for scans and the flush. Each
 * key has an entry that also holds what the writer's round under way wants to put there, so a round looks each key up
 * once.
 *
 * Invariants
 * - A reader takes an entry's `cell` and never its `pending`, which is set only between a round's decision and its end.
 * - A view finds in an entry's `older` what it showed when the view was opened.
 */
import type { Cell } from "../../domain/cell/Cell.ts"
import * as SortedRuns from "./SortedRuns.ts"

export interface Entry {
  readonly key: string
  /** Seen by readers; `undefined` only while the key's first cell is pending. */
  cell: Cell | undefined
  /** The round that made it visible. */
  sequence: number
  /** Seen by views that are older than `sequence`. */
  older: Older | undefined
  /** Accepted, but not logged yet. */
  pending: Cell | undefined
  /** Of `cell`: computing it again would cost more than keeping it. */
  sizeBytes: number
}

interface Older {
  readonly cell: Cell
  readonly sequence: number
  older: Older | undefined
}

/** The rounds after which the open views were opened, ascending. */
export type OpenViews = ReadonlyArray<number>

export interface Memtable {
  readonly entries: Map<string, Entry>
  /** Every entry that has ever shown a cell. */
  readonly runs: SortedRuns.SortedRuns<Entry>
  sizeBytes: number
  /** The numbers of the logs that hold its cells. */
  readonly logs: Array<number>
  /** Taken by its cells in the logs. */
  logBytes: number
}

/** About the cost of an entry beside its key and value: the objects of the cell and its version, and the map's slot. */
const entryBytes = 200

export const make = (): Memtable => ({
  entries: new Map(),
  runs: SortedRuns.make(),
  sizeBytes: 0,
  logs: [],
  logBytes: 0
})

/** The cell that readers see. */
export const get = ({ entries }: Memtable, key: string): Cell | undefined => {
  const entry = entries.get(key)
  return entry === undefined ? undefined : entry.cell
}

/** The cell that a view of that round sees. */
export const visible = (entry: Entry, sequence: number): Cell | undefined => {
  if (entry.sequence <= sequence) return entry.cell
  let older = entry.older
  while (older !== undefined && older.sequence > sequence) older = older.older
  return older?.cell
}

/** Makes an entry for a key that has none. Readers do not see it before `publish`. */
export const reserve = ({ entries }: Memtable, cell: Cell): Entry => {
  const entry: Entry = { key: cell.key, cell: undefined, sequence: 0, older: undefined, pending: cell, sizeBytes: 0 }
  entries.set(cell.key, entry)
  return entry
}

const noViews: OpenViews = []

/** Puts the pending cell in the place of the one that readers saw, which open views go on seeing. */
export const publish = (memtable: Memtable, entry: Entry, sequence: number, views: OpenViews = noViews): void => {
  const sizeBytes = sizeBytesOf(entry.pending!)
  memtable.sizeBytes += sizeBytes - entry.sizeBytes
  if (entry.cell === undefined) SortedRuns.add(memtable.runs, entry)
  entry.older = views.length === 0 ? undefined : keptFor(views, entry, sequence)
  entry.cell = entry.pending
  entry.sequence = sequence
  entry.pending = undefined
  entry.sizeBytes = sizeBytes
}

/** The earlier cells that an open view sees: it was opened after the cell came and before the next one did. */
const keptFor = (views: OpenViews, { cell, older, sequence }: Entry, round: number): Older | undefined => {
  let view = views.length - 1
  let next = round
  let kept: Older | undefined
  let last: Older | undefined
  for (let node = cell === undefined ? older : { cell, sequence, older }; node !== undefined; node = node.older) {
    while (view >= 0 && views[view]! >= next) view--
    if (view < 0) break
    if (views[view]! >= node.sequence) {
      if (last === undefined) kept = node
      else last.older = node
      last = node
    }
    next = node.sequence
  }
  if (last !== undefined) last.older = undefined
  return kept
}

/** Forgets the pending cell. */
export const withdraw = ({ entries }: Memtable, entry: Entry): void => {
  if (entry.cell === undefined) entries.delete(entry.key)
  entry.pending = undefined
}

/** Puts a cell in the place of any older one of its key. */
export const set = (memtable: Memtable, cell: Cell): void => {
  const entry = memtable.entries.get(cell.key)
  if (entry !== undefined) entry.pending = cell
  publish(memtable, entry ?? reserve(memtable, cell), 0)
}

const sizeBytesOf = ({ key, value }: Cell): number =>
  entryBytes + key.length + (value === undefined ? 0 : value.bytes.length + value.contentType.length)
