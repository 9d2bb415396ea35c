/**
 * What becomes of each cell of a round: the merge, cell by cell, against what the store holds.
 */
import { Effect } from "effect"
import * as Cell from "../domain/Cell.ts"
import * as Version from "../domain/Version.ts"
import type { Applied } from "./Applied.ts"
import * as cellLines from "./sstable/cellLines.ts"
import * as lookUp from "./sstable/lookUp.ts"
import { inMemory, type State } from "./State.ts"
import type { StorageError } from "./StorageError.ts"
import type { StoredVersion } from "./VersionCache.ts"

/** Cells that one call gave, in order. */
type Writes = ReadonlyArray<{ readonly cells: ReadonlyArray<Cell.Cell> }>

export interface Round {
  /** The cells to log and to store, in order. */
  readonly accepted: ReadonlyArray<Cell.Cell>
  /** One for each write. */
  readonly answers: ReadonlyArray<Effect.Effect<ReadonlyArray<Applied>, StorageError>>
  /** Which answers hold only once `accepted` is logged. */
  readonly needsLog: ReadonlyArray<boolean>
}

/** What the store holds of a key: in memory, its version alone, as a line of a table, nothing, or it cannot be read. */
type Stored = Cell.Cell | StoredVersion | cellLines.Line | StorageError | undefined

const acceptedNew: Applied = { _tag: "Accepted", replaced: false }
const acceptedReplaced: Applied = { _tag: "Accepted", replaced: true }

export const decide = Effect.fnUntraced(function*(state: State, writes: Writes) {
  const stored: Array<Stored> = []
  const missing = findInMemory(state, writes, stored)
  if (missing.length > 0) yield* readMissing(state, missing, stored)
  const round = new Deciding(state)
  let index = 0
  for (const { cells } of writes) {
    round.begin()
    for (const cell of cells) round.take(cell, stored[index++])
    round.end()
  }
  for (const cell of round.conflicts) {
    yield* Effect.logError(`two cells with the version ${Version.format(cell.version)} differ: a node broke the rules`)
  }
  const { accepted, answers, needsLog }: Round = round
  return { accepted, answers, needsLog }
})

interface Missing {
  readonly index: number
  readonly key: string
}

/** Fills `stored` as far as memory goes, and returns the places that the disk has to fill. */
const findInMemory = (state: State, writes: Writes, stored: Array<Stored>): ReadonlyArray<Missing> => {
  const missing: Array<Missing> = []
  for (const { cells } of writes) {
    for (const cell of cells) {
      const found = inMemory(state, cell.key) ?? knownVersion(state, cell) ?? lookUp.findCached(state.tables, cell.key)
      if (found === lookUp.mustRead) {
        missing.push({ index: stored.length, key: cell.key })
        stored.push(undefined)
      } else {
        stored.push(found)
        if (found !== undefined && isLine(found)) remember(state, cell.key, found)
      }
    }
  }
  return missing
}

/** The version alone decides, unless it is the same: then the contents must be compared. */
const knownVersion = (state: State, cell: Cell.Cell): StoredVersion | undefined => {
  const known = state.versions.get(cell.key)
  return known !== undefined && Version.compare(known.version, cell.version) !== 0 ? known : undefined
}

const remember = (state: State, key: string, line: cellLines.Line) =>
  state.versions.put(key, { version: cellLines.versionUnsafe(line), isTombstone: cellLines.isTombstone(line) })

/** How many reads are under way for one round: enough to keep a disk busy, few enough to leave threads for reads. */
const readsMax = 16

const readMissing = (state: State, missing: ReadonlyArray<Missing>, stored: Array<Stored>) =>
  Effect.forEach(
    missing,
    ({ index, key }) =>
      Effect.match(lookUp.find(() => state.tables, key), {
        onFailure: (failure) => {
          stored[index] = failure
        },
        onSuccess: (line) => {
          stored[index] = line
          if (line !== undefined) remember(state, key, line)
        }
      }),
    { concurrency: readsMax, discard: true }
  )

class Deciding {
  readonly accepted: Array<Cell.Cell> = []
  readonly answers: Array<Effect.Effect<ReadonlyArray<Applied>, StorageError>> = []
  readonly needsLog: Array<boolean> = []
  readonly conflicts: Array<Cell.Cell> = []
  /** Cells of this round that are not visible yet, by key. */
  private readonly pending = new Map<string, Cell.Cell>()
  private readonly state: State
  private applied: Array<Applied> = []
  private needs = false
  private failure: StorageError | undefined

  constructor(state: State) {
    this.state = state
  }

  begin(): void {
    this.applied = []
    this.needs = false
    this.failure = undefined
  }

  end(): void {
    this.answers.push(this.failure === undefined ? Effect.succeed(this.applied) : Effect.fail(this.failure))
    this.needsLog.push(this.needs)
  }

  take(cell: Cell.Cell, before: Stored): void {
    const pending = this.pending.get(cell.key)
    if (pending !== undefined) {
      this.needs = true
      before = pending
    }
    if (before === undefined) return this.accept(cell, acceptedNew)
    if (isFailure(before)) {
      this.failure = before
      return
    }
    const version = isLine(before) ? cellLines.versionUnsafe(before) : before.version
    const order = Version.compare(cell.version, version)
    if (order < 0) this.applied.push({ _tag: "Superseded", newest: version })
    else if (order > 0) this.accept(cell, wasTombstone(before) ? acceptedNew : acceptedReplaced)
    // A version known alone is never the same: see `knownVersion`.
    else if (!isVersionAlone(before)) this.takeEqual(cell, isLine(before) ? cellLines.cellUnsafe(before) : before)
  }

  /** A retry, or a node that gave one version to two writes. The loser of those must be stamped again. */
  private takeEqual(cell: Cell.Cell, before: Cell.Cell): void {
    const order = Cell.compare(cell, before)
    if (order === 0) {
      this.applied.push(acceptedNew)
      return
    }
    this.state.equalVersionConflicts++
    this.conflicts.push(cell)
    if (order > 0) this.accept(cell, Cell.isTombstone(before) ? acceptedNew : acceptedReplaced)
    else this.applied.push({ _tag: "Superseded", newest: before.version })
  }

  private accept(cell: Cell.Cell, applied: Applied): void {
    this.needs = true
    this.pending.set(cell.key, cell)
    this.accepted.push(cell)
    this.applied.push(applied)
  }
}

type Found = Cell.Cell | StoredVersion | cellLines.Line

const isLine = (stored: Found): stored is cellLines.Line => "block" in stored

const isVersionAlone = (stored: Found): stored is StoredVersion => "isTombstone" in stored

const wasTombstone = (stored: Found): boolean => {
  if (isLine(stored)) return cellLines.isTombstone(stored)
  return isVersionAlone(stored) ? stored.isTombstone : Cell.isTombstone(stored)
}

const isFailure = (stored: NonNullable<Stored>): stored is StorageError => "_tag" in stored
