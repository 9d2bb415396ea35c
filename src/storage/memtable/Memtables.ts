/**
 * The cells in memory: the memtable that takes new ones and, while it is being flushed, the full one before it.
 *
 * The writer alone publishes cells and turns the memtable over; the flusher alone drops what it has written to a table.
 * Each is one synchronous step, so a reader that looks in one go sees every cell. Every change of what the store holds
 * passes here, and goes to the feed.
 *
 * Invariants
 * - A cell in memory is newer than that of any table, and one in the active memtable newer than one being flushed.
 * - The highest counter never goes back.
 */
import type { Cell } from "../../domain/cell/Cell.ts"
import { type Before, Feed, Purge } from "../Feed.ts"
import * as Memtable from "./Memtable.ts"
import * as OpenViews from "./OpenViews.ts"
import * as SortedRuns from "./SortedRuns.ts"

/** The memtables of one moment, for a view. */
export interface Held {
  /** The last change that it shows. */
  readonly sequence: number
  /** Newest first. */
  readonly memtables: ReadonlyArray<Memtable.Memtable>
  readonly runs: ReadonlyArray<SortedRuns.Run<Memtable.Entry>>
  readonly release: () => void
}

export class Memtables {
  readonly feed = new Feed()
  private current: Memtable.Memtable
  private full: Memtable.Memtable | undefined
  private purge: Purge | undefined
  private doubtCount = 0
  private highest: number
  private readonly views = OpenViews.make()

  /** Takes up what recovery read from the logs. `counterMax` is the highest counter of tables and logs. */
  constructor(active: Memtable.Memtable, counterMax: number) {
    this.current = active
    this.highest = counterMax
  }

  get active(): Memtable.Memtable {
    return this.current
  }

  /** Full, no longer written to, on its way into a table. */
  get flushing(): Memtable.Memtable | undefined {
    return this.full
  }

  /** The highest counter of any cell that was ever stored. */
  get counterMax(): number {
    return this.highest
  }

  get sizeBytes(): number {
    return this.current.sizeBytes + (this.full?.sizeBytes ?? 0)
  }

  get cells(): number {
    return this.current.entries.size + (this.full?.entries.size ?? 0)
  }

  get logBytes(): number {
    return this.current.logBytes + (this.full?.logBytes ?? 0)
  }

  /** The logs that hold cells which are in no table, oldest first. */
  get logs(): ReadonlyArray<number> {
    return [...this.full?.logs ?? [], ...this.current.logs]
  }

  find(key: string): Cell | undefined {
    return Memtable.get(this.current, key) ?? this.findFlushing(key)
  }

  /** The cell of the memtable that is being flushed. */
  findFlushing(key: string): Cell | undefined {
    return this.full === undefined ? undefined : Memtable.get(this.full, key)
  }

  /** Raised when cells left the tables that a round under way may have been decided against. */
  get doubts(): number {
    return this.doubtCount
  }

  /**
   * Lets readers see the pending cells of these entries of the active memtable. `stored` has for each what was in
   * tables or in the full memtable when it was decided, and `doubts` is from that time.
   */
  publish(entries: ReadonlyArray<Memtable.Entry>, stored: ReadonlyArray<Before>, doubts: number): void {
    const { feed, purge } = this
    const { isFollowed } = feed
    const views = this.views.current()
    for (let index = 0; index < entries.length; index++) {
      const entry = entries[index]!
      const cell = entry.pending!
      const sequence = feed.next()
      if (cell.version.counter > this.highest) this.highest = cell.version.counter
      if (purge !== undefined) purge.replaced(cell.key)
      if (isFollowed) {
        const before = entry.cell?.version ?? (doubts === this.doubtCount ? stored[index] : "unknown")
        feed.tell({ _tag: "Applied", sequence, before, cell })
      }
      Memtable.publish(this.current, entry, sequence, views)
    }
  }

  /** A compaction begins to leave out tombstones. */
  beginPurge(): Purge {
    this.purge = new Purge(this.feed)
    return this.purge
  }

  /** The compaction failed, or it keeps the tombstones. */
  dropPurge(): void {
    this.purge = undefined
  }

  /** The tables without the tombstones have taken the place of those with them. */
  purged(): void {
    const { feed, purge } = this
    this.purge = undefined
    if (purge === undefined) return
    const { gone } = purge
    // A round that is still reading may have found one of these tombstones.
    this.doubtCount++
    if (gone === undefined) return feed.missed()
    for (const [key, before] of gone) {
      feed.tell({ _tag: "Purged", sequence: feed.next(), key, before })
    }
  }

  /** Tables without the cells of these ranges have taken the place of damaged ones. */
  lost(ranges: ReadonlyArray<{ readonly from: string; readonly to: string }>): void {
    if (ranges.length > 0) this.doubtCount++
    for (const { from, to } of ranges) {
      this.feed.tell({ _tag: "Lost", sequence: this.feed.next(), from, to })
    }
  }

  /** Puts an empty memtable in the place of the active one. Only while none is being flushed. */
  turnOver(): void {
    this.full = this.current
    this.current = Memtable.make()
  }

  /** A table has the cells of the full memtable by now. */
  dropFlushing(): void {
    this.full = undefined
  }

  /** Keeps for the holder what is visible now. */
  hold(): Held {
    const { sequence } = this.feed
    const memtables = this.full === undefined ? [this.current] : [this.current, this.full]
    this.views.open(sequence)
    return {
      sequence,
      memtables,
      runs: memtables.flatMap(({ runs }) => SortedRuns.sealed(runs)),
      release: () => this.views.close(sequence)
    }
  }
}
