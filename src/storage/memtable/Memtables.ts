/**
 * The cells in memory: the memtable that takes new ones and, while it is being flushed, the full one before it.
 *
 * The writer alone publishes cells and turns the memtable over; the flusher alone drops what it has written to a table.
 * Each is one synchronous step, so a reader that looks in one go sees every cell.
 *
 * Invariants
 * - A cell in memory is newer than that of any table, and one in the active memtable newer than one being flushed.
 * - The sequence number and the highest counter never go back.
 */
import type { Cell } from "../../domain/cell/Cell.ts"
import * as Memtable from "./Memtable.ts"
import * as OpenViews from "./OpenViews.ts"
import * as SortedRuns from "./SortedRuns.ts"

/** What a view keeps of the memtables of its moment. */
export interface Held {
  /** What became visible later has a higher number. */
  readonly sequence: number
  /** Newest first. */
  readonly memtables: ReadonlyArray<Memtable.Memtable>
  readonly runs: ReadonlyArray<SortedRuns.Run<Memtable.Entry>>
  readonly release: () => void
}

export class Memtables {
  private current: Memtable.Memtable
  private full: Memtable.Memtable | undefined
  private published = 0
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

  /** The number of the last round whose cells became visible. */
  get sequence(): number {
    return this.published
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

  /** What the memtable that is being flushed has of the key. */
  findFlushing(key: string): Cell | undefined {
    return this.full === undefined ? undefined : Memtable.get(this.full, key)
  }

  /** Lets readers see the pending cells of these entries of the active memtable. */
  publish(entries: ReadonlyArray<Memtable.Entry>): void {
    const sequence = ++this.published
    const views = this.views.current()
    for (const entry of entries) {
      const { counter } = entry.pending!.version
      if (counter > this.highest) this.highest = counter
      Memtable.publish(this.current, entry, sequence, views)
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

  /** What is visible now stays so for the holder, whatever becomes of it here. */
  hold(): Held {
    const sequence = this.published
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
