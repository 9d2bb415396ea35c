/**
 * Decides for each cell of a round whether it is newer than the one that the store holds.
 *
 * For most cells one look at the memtable is enough. The others need a table that must be read from disk: these are
 * read together and decided last. A later write of one of their keys waits with them.
 */
import { Effect } from "effect"
import type { StorageError } from "../disk/StorageError.ts"
import * as Cell from "../domain/cell/Cell.ts"
import * as cellLines from "../domain/cell/cellLines.ts"
import * as Version from "../domain/Version.ts"
import type { Applied } from "./Applied.ts"
import type { Before } from "./Feed.ts"
import * as lookUp from "./lookUp.ts"
import type { Hole } from "./manifest/Holes.ts"
import * as Memtable from "./memtable/Memtable.ts"
import type { State } from "./State.ts"

/** The cells that one call gave, in order, and what became of them. */
export interface Write {
  readonly cells: ReadonlyArray<Cell.Cell>
  /** One for each cell. */
  readonly applied: Array<Applied>
  /** Whether `applied` holds only once the round is logged. */
  needsLog: boolean
  /** Why what the store holds of one of the keys could not be read. */
  failure: StorageError | undefined
  /** Cells that these hide count as absent: `cells` are the newest of all other replicas. */
  readonly fills: ReadonlyArray<Hole>
}

interface StoredVersion {
  readonly version: Version.Version
  readonly isTombstone: boolean
  /** Damage may hide a newer one. */
  readonly isUnsure: boolean
}

/** Nothing was found, but not everything could be looked at, or needed to be. */
const unknown = "unknown"

/** The stored cell of a key that is not in the active memtable; only its version where that decides. */
type Stored = Cell.Cell | StoredVersion | undefined | typeof unknown

/** A write that only tables can decide. All its cells wait, so that all or none are taken. */
interface Deferred {
  readonly write: Write
  /** For each cell, what the store holds, or why that could not be read. */
  readonly stored: Array<Stored>
  readonly failures: Array<StorageError | undefined>
}

const acceptedNew: Applied = { _tag: "Accepted", replaced: false }
const acceptedReplaced: Applied = { _tag: "Accepted", replaced: true }

const newAnswer = Effect.succeed<ReadonlyArray<Applied>>([acceptedNew])
const replacedAnswer = Effect.succeed<ReadonlyArray<Applied>>([acceptedReplaced])

/** Nearly all calls are of one cell that is accepted, and share their answers. */
export const answerOf = ({ applied, failure }: Write): Effect.Effect<ReadonlyArray<Applied>, StorageError> => {
  if (failure !== undefined) return Effect.fail(failure)
  if (applied.length !== 1) return Effect.succeed(applied)
  return applied[0] === acceptedNew
    ? newAnswer
    : applied[0] === acceptedReplaced
    ? replacedAnswer
    : Effect.succeed(applied)
}

/**
 * One round. `decide`, `complete` when that leaves something to do, then either `publish` or `withdraw`: until then
 * what it accepted is pending in the active memtable.
 */
export class Round {
  /** The cells to log, in order. */
  readonly accepted: Array<Cell.Cell> = []
  private readonly changed: Array<Memtable.Entry> = []
  /** For each of these what it replaces, unless that is in the active memtable. */
  private readonly before: Array<Before> = []
  private readonly deferred: Array<Deferred> = []
  private readonly deferredKeys = new Set<string>()
  private readonly conflicts: Array<Cell.Cell> = []
  private readonly state: State
  private readonly memtable: Memtable.Memtable
  private readonly doubts: number

  constructor(state: State) {
    this.state = state
    this.memtable = state.memtables.active
    this.doubts = state.memtables.doubts
  }

  /** Decides as far as memory goes. Whether that was all. */
  decide(writes: ReadonlyArray<Write>): boolean {
    for (const write of writes) {
      const isTaken = write.cells.length === 1 ? this.tryTakeOne(write) : this.tryTakeAll(write)
      if (!isTaken) this.defer(write)
    }
    return this.deferred.length === 0 && this.conflicts.length === 0
  }

  /** Decides the rest with the help of the disk, and raises the alarm about cells that contradict each other. */
  complete(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const reads = this.deferred.flatMap((deferred) =>
        deferred.write.cells.map((_, index) => this.read(deferred, index))
      )
      yield* Effect.all(reads, { concurrency: readsMax, discard: true })
      for (const deferred of this.deferred) this.takeDeferred(deferred)
      for (const { version } of this.conflicts) {
        yield* Effect.logError(`two cells with the version ${Version.format(version)} differ: a node broke the rules`)
      }
    })
  }

  /** Lets readers see what was accepted. */
  publish(): void {
    this.state.memtables.publish(this.changed, this.before, this.doubts)
  }

  /** Leaves the store as it was before the round. */
  withdraw(): void {
    for (const entry of this.changed) Memtable.withdraw(this.memtable, entry)
  }

  /** Nearly all writes are of one cell, and look its key up once. */
  private tryTakeOne(write: Write): boolean {
    const cell = write.cells[0]!
    const entry = this.memtable.entries.get(cell.key)
    if (entry === undefined) {
      const stored = this.findInMemory(cell)
      if (stored === lookUp.mustRead) return false
      this.takeStored(write, 0, stored)
    } else if (this.mustWait(cell.key)) return false
    else this.takeKnown(write, 0, entry)
    return true
  }

  private tryTakeAll(write: Write): boolean {
    const { cells } = write
    const all: Array<Stored> = []
    for (const cell of cells) {
      const isKnown = this.memtable.entries.has(cell.key)
      const stored = isKnown ? undefined : this.findInMemory(cell)
      if (stored === lookUp.mustRead || (isKnown && this.mustWait(cell.key))) return false
      all.push(stored)
    }
    for (let index = 0; index < cells.length; index++) this.take(write, index, all[index])
    return true
  }

  private take(write: Write, index: number, stored: Stored): void {
    const entry = this.memtable.entries.get(write.cells[index]!.key)
    if (entry === undefined) this.takeStored(write, index, stored)
    else this.takeKnown(write, index, entry)
  }

  /** Cells of one key are decided in the order in which they came. */
  private mustWait(key: string): boolean {
    return this.deferred.length > 0 && this.deferredKeys.has(key)
  }

  private findInMemory(cell: Cell.Cell): Stored | typeof lookUp.mustRead {
    const { memtables, settings, tables } = this.state
    if (this.mustWait(cell.key)) return lookUp.mustRead
    const flushed = memtables.findFlushing(cell.key)
    if (flushed !== undefined) return flushed
    const isNewest = cell.version.counter > tables.lookUp.counterMax
    if (isNewest && !settings.tellsReplaced && !memtables.feed.isFollowed) return unknown
    const line = lookUp.findNow(tables.lookUp, cell.key)
    return line === undefined || line === lookUp.mustRead ? line : this.ofLine(line, cell, false)
  }

  private defer(write: Write): void {
    this.deferred.push({ write, stored: [], failures: [] })
    for (const { key } of write.cells) this.deferredKeys.add(key)
  }

  private read({ failures, stored, write }: Deferred, index: number) {
    const cell = write.cells[index]!
    const flushed = this.state.memtables.findFlushing(cell.key)
    if (flushed !== undefined) {
      stored[index] = flushed
      return Effect.void
    }
    return Effect.match(this.findStored(cell, write.fills), {
      onFailure: (failure) => {
        failures[index] = failure
      },
      onSuccess: (found) => {
        stored[index] = found
      }
    })
  }

  private takeDeferred({ failures, stored, write }: Deferred): void {
    const { cells } = write
    // No table needs to be read when an earlier write put the key into the memtable.
    const failure = failures.find((failed, index) =>
      failed !== undefined && !this.memtable.entries.has(cells[index]!.key)
    )
    if (failure !== undefined) {
      write.failure = failure
      return
    }
    for (let index = 0; index < cells.length; index++) this.take(write, index, stored[index])
  }

  /**
   * A cell whose counter is above all counters of the damaged table is newer than anything that the damage hides, so
   * the damage can be passed over; then it is not known what the cell replaces. Damage that came after the holes that
   * the cell fills may hide a newer cell of its key, and is not passed over.
   */
  private findStored(cell: Cell.Cell, fills: ReadonlyArray<Hole>): Effect.Effect<Stored, StorageError> {
    const current = () => this.state.tables.lookUp
    return Effect.map(lookUp.find(current, cell.key), (line) => line && this.ofLine(line, cell, false)).pipe(
      Effect.catchTag(
        "Corruption",
        () =>
          Effect.map(
            lookUp.find(current, cell.key, { counterMin: cell.version.counter, fills }),
            (line) => line === undefined ? unknown : this.ofLine(line, cell, true)
          )
      )
    )
  }

  /** The version alone decides, unless it is the same: then the contents must be compared. */
  private ofLine(line: cellLines.Line, cell: Cell.Cell, isUnsure: boolean): Stored {
    const version = cellLines.versionUnsafe(line)
    return Version.compare(version, cell.version) === 0
      ? cellLines.cellUnsafe(line)
      : { version, isTombstone: cellLines.isTombstone(line), isUnsure }
  }

  /** Against a cell in the active memtable, or one of this round. */
  private takeKnown(write: Write, index: number, entry: Memtable.Entry): void {
    // An answer that depends on a pending cell holds only once that one is logged.
    if (entry.pending !== undefined) write.needsLog = true
    this.takeAgainst(write, index, entry.pending ?? entry.cell!, entry)
  }

  private takeStored(write: Write, index: number, stored: Stored): void {
    if (stored === undefined || stored === unknown) return this.accept(write, index, undefined, acceptedNew, stored)
    if (!isVersionAlone(stored)) return this.takeAgainst(write, index, stored, undefined)
    // It is never the same: see `findInMemory` and `ofLine`.
    const isNewer = Version.compare(write.cells[index]!.version, stored.version) > 0
    const before = stored.isUnsure ? unknown : stored.version
    if (isNewer) this.accept(write, index, undefined, stored.isTombstone ? acceptedNew : acceptedReplaced, before)
    else write.applied[index] = { _tag: "Superseded", newest: stored.version }
  }

  private takeAgainst(write: Write, index: number, before: Cell.Cell, entry: Memtable.Entry | undefined): void {
    const cell = write.cells[index]!
    const byVersion = Version.compare(cell.version, before.version)
    const order = byVersion !== 0 ? byVersion : this.compareEqual(cell, before)
    const { value, version } = before
    if (order > 0) this.accept(write, index, entry, value === undefined ? acceptedNew : acceptedReplaced, version)
    else write.applied[index] = order === 0 ? acceptedNew : { _tag: "Superseded", newest: version }
  }

  /** A retry, or a node that gave one version to two writes. The loser of those must be stamped again. */
  private compareEqual(cell: Cell.Cell, before: Cell.Cell): number {
    const order = Cell.compare(cell, before)
    if (order !== 0) {
      this.state.figures.countConflict()
      this.conflicts.push(cell)
    }
    return order
  }

  private accept(
    write: Write,
    index: number,
    entry: Memtable.Entry | undefined,
    applied: Applied,
    before: Before
  ): void {
    const cell = write.cells[index]!
    write.needsLog = true
    write.applied[index] = applied
    this.accepted.push(cell)
    if (entry === undefined) {
      this.changed.push(Memtable.reserve(this.memtable, cell))
      this.before.push(before)
      return
    }
    if (entry.pending === undefined) {
      this.changed.push(entry)
      this.before.push(before)
    }
    entry.pending = cell
  }
}

/** How many reads are under way for one round: enough to keep a disk busy, few enough to leave threads for reads. */
const readsMax = 16

const isVersionAlone = (stored: Cell.Cell | StoredVersion): stored is StoredVersion => "isTombstone" in stored
