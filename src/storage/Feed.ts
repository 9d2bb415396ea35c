/**
 * Every change of what the store holds, in order, for those who keep something beside it: hash trees, a feed of
 * changes, the dashboard.
 *
 * To follow the store, subscribe and then open a view. The view tells the number of the last change that it shows; the
 * view and the changes with higher numbers are the store. After `Missed` do the same again, after `Lost` for its keys.
 *
 * No path forgets the feed. A cell enters the store in one place, `Memtables.publish`, no matter who brought it: a
 * client, a hint, read repair, a comparison, or other replicas after damage. A cell leaves the store in two: a
 * compaction leaves out a tombstone (`Memtables.purged`), or finds that a block is damaged (`Memtables.lost`). Flushes
 * and all other merges move cells. A start reads cells back from its logs before anybody can subscribe, so each view
 * has them.
 *
 * Invariants
 * - Numbers only grow, from the start of the process on, and each change has its own.
 * - Nobody waits for a subscriber. One that is too slow loses changes, and is told up to which.
 */
import { Effect, type Scope } from "effect"
import type { Cell } from "../domain/cell/Cell.ts"
import type { Key } from "../domain/Key.ts"
import type { Version } from "../domain/Version.ts"

/** The version that was there. `unknown` where damage hides it, or where it was not looked up (`tellsReplaced`). */
export type Before = Version | undefined | "unknown"

export type Change =
  /** The cell is the newest of its key now. When one round brings several of a key, only the last is told. */
  | { readonly _tag: "Applied"; readonly sequence: number; readonly before: Before; readonly cell: Cell }
  /** The key's tombstone is gone, and with it the last that the store had of the key. */
  | { readonly _tag: "Purged"; readonly sequence: number; readonly key: Key; readonly before: Version }
  /** Damage took cells of the keys from `from` up to and without `to`; a scan that skips damage gives the rest. */
  | { readonly _tag: "Lost"; readonly sequence: number; readonly from: string; readonly to: string }
  /** Changes up to this number were dropped. Later changes are complete again. */
  | { readonly _tag: "Missed"; readonly sequence: number }

/** How much may wait for a subscriber. */
export interface Limits {
  readonly changesMax: number
  /** Keys and values, and about what the objects around them take. */
  readonly bytesMax: number
}

/** Some of the largest rounds of the writer. */
export const defaults: Limits = { changesMax: 16_384, bytesMax: 32 * 1024 * 1024 }

export interface Changes {
  /** Changes since the last call, in order. */
  readonly takeNow: () => ReadonlyArray<Change>
  /** The same, and waits while there is nothing, even when the store has closed. For one fiber at a time. */
  readonly take: Effect.Effect<ReadonlyArray<Change>>
}

export class Feed {
  private latest = 0
  private readonly subscribers = new Set<Subscriber>()

  /** The number of the last change. */
  get sequence(): number {
    return this.latest
  }

  get isFollowed(): boolean {
    return this.subscribers.size > 0
  }

  /** The number of a change that happens now. */
  next(): number {
    return ++this.latest
  }

  /** Everything that happens from now on, until the scope closes. */
  subscribe(limits: Partial<Limits> = {}): Effect.Effect<Changes, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.sync(() => {
        const subscriber = new Subscriber({ ...defaults, ...limits })
        this.subscribers.add(subscriber)
        return subscriber
      }),
      (subscriber) => Effect.sync(() => this.subscribers.delete(subscriber))
    )
  }

  tell(change: Change): void {
    const bytes = sizeBytesOf(change)
    for (const subscriber of this.subscribers) subscriber.tell(change, bytes)
  }

  /** Something changed, and nobody knows what. */
  missed(): void {
    const sequence = this.next()
    for (const subscriber of this.subscribers) subscriber.miss(sequence)
  }
}

/** The objects of a change, its cell and its versions, about. */
const changeBytes = 300

const sizeBytesOf = (change: Change): number =>
  change._tag === "Applied"
    ? changeBytes + change.cell.key.length + (change.cell.value === undefined ? 0 : change.cell.value.bytes.length)
    : changeBytes

class Subscriber implements Changes {
  private waiting: Array<Change> = []
  private bytes = 0
  private wake: (() => void) | undefined
  private readonly limits: Limits

  constructor(limits: Limits) {
    this.limits = limits
  }

  tell(change: Change, bytes: number): void {
    const { bytesMax, changesMax } = this.limits
    if (this.waiting.length >= changesMax || this.bytes + bytes > bytesMax) return this.miss(change.sequence)
    this.waiting.push(change)
    this.bytes += bytes
    this.wake?.()
  }

  miss(sequence: number): void {
    this.waiting = [{ _tag: "Missed", sequence }]
    this.bytes = 0
    this.wake?.()
  }

  /** The fiber that waits goes on in a turn of its own: here it would run in the middle of the writer's round. */
  private readonly change = Effect.callback<void>((resume) => {
    if (this.waiting.length > 0) return resume(Effect.void)
    this.wake = () => {
      this.wake = undefined
      resume(Effect.yieldNow)
    }
  })

  readonly takeNow = (): ReadonlyArray<Change> => {
    const taken = this.waiting
    this.waiting = []
    this.bytes = 0
    return taken
  }

  readonly take: Effect.Effect<ReadonlyArray<Change>> = Effect.map(this.change, this.takeNow)
}

/**
 * Tombstones that a compaction under way leaves out. While it runs, a key may get a newer cell: then that cell takes
 * the tombstone's place, and the tombstone's end is no change.
 */
export class Purge {
  private readonly versions = new Map<Key, Version>()
  private isComplete = true
  /** Nobody followed when it began, or there are too many to tell: whoever follows at its end has to read again. */
  private isCollecting: boolean

  constructor(feed: Feed) {
    this.isCollecting = feed.isFollowed
  }

  /** Whether it wants to know which tombstones are left out. */
  get collects(): boolean {
    return this.isCollecting
  }

  leaveOut(key: Key, version: Version): void {
    this.versions.set(key, version)
    if (this.versions.size > tombstonesMax) this.leaveOutUnnamed()
  }

  leaveOutUnnamed(): void {
    this.isComplete = false
    this.isCollecting = false
    this.versions.clear()
  }

  replaced(key: Key): void {
    this.versions.delete(key)
  }

  /** The cells that are gone, or `undefined` when that is not known. */
  get gone(): ReadonlyMap<Key, Version> | undefined {
    return this.isComplete ? this.versions : undefined
  }
}

/** As many as wait for a subscriber. */
const tombstonesMax = defaults.changesMax
