/** A copy of a store made from a view and the feed alone: it notices when they do not fit together. */
import { Effect, type Scope, Semaphore } from "effect"
import type { StorageError } from "../disk/StorageError.ts"
import * as CellModule from "../domain/cell/Cell.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import { compare } from "../domain/Key.ts"
import * as Version from "../domain/Version.ts"
import type { Change, Changes, Limits } from "../storage/Feed.ts"
import type { ScanOptions } from "../storage/scan/Cursor.ts"
import type { View } from "../storage/scan/View.ts"
import type { Storage } from "../storage/Storage.ts"

type Store = Pick<Storage["Service"], "changes" | "view">

export interface Follower {
  /** Takes in changes as they come. */
  readonly run: Effect.Effect<never, StorageError>
  /** Takes in all changes so far and compares itself with the store; `undefined` when nothing is wrong. */
  readonly check: Effect.Effect<string | undefined, StorageError>
  /** How often each kind of change came. */
  readonly seen: Readonly<Record<Change["_tag"] | "unknown", number>>
}

/** Keys that were read again, and the last change that the reading contains. */
interface Reading {
  readonly from: string
  readonly to: string | undefined
  readonly sequence: number
}

export const start = Effect.fnUntraced(function*(
  store: Store,
  limits?: Partial<Limits>
): Effect.fn.Return<Follower, StorageError, Scope.Scope> {
  const changes: Changes = yield* store.changes(limits)
  const cells = new Map<string, Cell>()
  const seen = { Applied: 0, Purged: 0, Lost: 0, Missed: 0, unknown: 0 }
  const lock = Semaphore.makeUnsafe(1)
  const waiting: Array<Change> = []
  let readings: ReadonlyArray<Reading> = []
  let latest = 0
  let problem: string | undefined

  const isWithin = ({ from, to }: Pick<Reading, "from" | "to">, key: string) =>
    compare(from, key) <= 0 && (to === undefined || compare(key, to) < 0)

  const read = (from: string, to: string | undefined) =>
    Effect.scoped(Effect.gen(function*() {
      const view = yield* store.view
      for (const key of Array.from(cells.keys())) if (isWithin({ from, to }, key)) cells.delete(key)
      for (const cell of yield* cellsOf(view, { from, ...(to !== undefined && { to }) })) cells.set(cell.key, cell)
      readings = [...readings, { from, to, sequence: view.sequence }]
    }))

  const expect = (key: string, before: Version.Version | undefined) => {
    const known = cells.get(key)?.version
    const isSame = known === undefined || before === undefined ? known === before : Version.compare(known, before) === 0
    if (!isSame) problem ??= `${key} changes from ${nameOf(before)}, and it was ${nameOf(known)}`
  }

  const follow = (change: Change): Effect.Effect<void, StorageError> => {
    seen[change._tag]++
    if (change.sequence <= latest) problem ??= `change ${change.sequence} comes after ${latest}`
    latest = change.sequence
    switch (change._tag) {
      case "Missed":
        return read("", undefined)
      case "Lost":
        return read(change.from, change.to)
      case "Applied": {
        const { before, cell, sequence } = change
        if (isRead(cell.key, sequence)) return Effect.void
        if (before === "unknown") seen.unknown++
        else expect(cell.key, before)
        cells.set(cell.key, cell)
        return Effect.void
      }
      case "Purged":
        if (isRead(change.key, change.sequence)) return Effect.void
        expect(change.key, change.before)
        if (cells.get(change.key)?.value !== undefined) problem ??= `${change.key} is purged and has a value`
        cells.delete(change.key)
        return Effect.void
    }
  }

  const isRead = (key: string, sequence: number) =>
    readings.some((reading) => sequence <= reading.sequence && isWithin(reading, key))

  const catchUp = lock.withPermit(Effect.gen(function*() {
    for (;;) {
      waiting.push(...changes.takeNow())
      const next = waiting.shift()
      if (next === undefined) return
      yield* follow(next)
    }
  }))

  yield* read("", undefined)
  return {
    seen,
    run: Effect.forever(Effect.flatMap(changes.take, (some) => {
      waiting.push(...some)
      return catchUp
    })),
    check: Effect.scoped(Effect.gen(function*() {
      yield* catchUp
      const view = yield* store.view
      // Between the two a change may have come.
      yield* catchUp
      if (problem !== undefined) return problem
      return latest > view.sequence ? undefined : differenceOf(cells, yield* cellsOf(view, {}))
    }))
  }
})

const cellsOf = Effect.fnUntraced(function*(view: View, options: ScanOptions) {
  const cells: Array<Cell> = []
  const cursor = yield* view.cursor({ ...options, damage: "skip" })
  for (let page = yield* cursor.next(1000); page.length > 0; page = yield* cursor.next(1000)) cells.push(...page)
  return cells
})

const nameOf = (version: Version.Version | undefined) => version === undefined ? "nothing" : Version.format(version)

const differenceOf = (known: ReadonlyMap<string, Cell>, stored: ReadonlyArray<Cell>): string | undefined => {
  const rest = new Map(known)
  for (const cell of stored) {
    const copy = rest.get(cell.key)
    if (copy === undefined || CellModule.compare(copy, cell) !== 0) {
      return `${cell.key} is ${nameOf(cell.version)} in the store and ${nameOf(copy?.version)} by the feed`
    }
    rest.delete(cell.key)
  }
  const [more] = rest.values()
  return more === undefined ? undefined : `${more.key} is not in the store, and ${nameOf(more.version)} by the feed`
}
