/**
 * Gets back the cells that damage took from this node. Storage remembers each range of keys of which it lost cells (a
 * hole). This fills the hole with the newest cells of all other replicas; only then may storage forget it.
 *
 * Why no promise is broken when the node has lost a cell:
 * - An acknowledged write, and a version that a quorum read returned, is on W (or R) replicas. So at least one other
 *   replica took it before its client was answered. Nobody knows which one, so all are asked, and this waits for one that
 *   may itself have lost something of the range (`vouch`). The newest of their cells is at least as new as the one that
 *   was acknowledged and lost, and no deleted key comes back.
 * - A quorum may still count an answer that this node gave before the loss, together with one that another replica gives
 *   later. That replica may take the cell after it was asked here, and then the cell would be on one replica only. So a
 *   hole stays open until all attempts have ended that ran when it was noticed, see `graceTimeouts`.
 * - Only the newest version among all replicas is stored, so reads may find it before the hole is closed. Until then they
 *   fail for all other keys of the range, and quorums come from the other replicas.
 * - A write that arrives meanwhile is taken only when it is newer than anything that may be lost. Storage sees to that.
 * - Cells are durable before the hole is closed. A crash in between leaves the hole, and all of it is done again.
 *
 * A cell that no other replica has is lost. Storage keeps the hole when there is nobody to ask: in a cluster of one node,
 * or when two replicas have lost cells of the same range. An operator may give it up (`rondo storage forget-lost`).
 */
import { Clock, Duration, Effect, type Scope, Stream } from "effect"
import type { StorageError } from "../disk/StorageError.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import { compare, type Key } from "../domain/Key.ts"
import type { NodeId } from "../domain/NodeId.ts"
import * as Version from "../domain/Version.ts"
import type { Gossip } from "../gossip/Gossip.ts"
import { restarting } from "../observability/restarting.ts"
import { uptimeMillisUnsafe } from "../observability/uptime.ts"
import { keysPerRequestMax } from "../peer/PeerApi.ts"
import type { KeyRange, PeerClient } from "../peer/PeerClient.ts"
import { PeerFailed } from "../peer/PeerError.ts"
import * as CellBytes from "../replication/cellBytes.ts"
import type { Ring } from "../ring/Ring.ts"
import * as Holes from "../storage/manifest/Holes.ts"
import type { Storage } from "../storage/Storage.ts"
import { sharedPartitions } from "./Comparison.ts"
import { isWhole } from "./Reconciler.ts"

/** Cheap when nothing is lost. */
const interval = Duration.seconds(1)
/** After a failure, doubled up to the longest: a peer may be away for long. */
const retryMillis = { first: 2000, most: 30_000 }
const requestTimeout = Duration.seconds(30)
/** Versions of one peer in memory at once, about a megabyte. */
const versionsPerPageMax = 10_000

/**
 * How many replica timeouts may pass before an answer can no longer count. A read or write waits in a queue of four
 * batches behind the one that is under way, each bounded by the timeout, and a read that finds a stale replica is followed
 * by a write. The rest is for clocks that differ.
 */
const graceTimeouts = 12

export interface LostRangesOptions {
  readonly self: NodeId
  readonly replicationFactor: number
  readonly replicaTimeout: Duration.Duration
  readonly gossip: Gossip["Service"]
  readonly ring: Ring["Service"]
  readonly storage: Storage["Service"]
  readonly client: PeerClient["Service"]
  /** Stores the newest cells that all other replicas have, whatever is damaged here. */
  readonly giveBack: (cells: ReadonlyArray<Cell>) => Effect.Effect<unknown, StorageError | PeerFailed>
  /** Called when holes were closed. */
  readonly onFilled: () => void
}

/** How far the ranges of keys have come of which this node has lost cells. */
export interface LostRangesStatus {
  /** `reason` says what it is `waiting` for, or why it `failed`; then it tries again. */
  readonly state: "idle" | "waiting" | "running" | "failed"
  readonly reason: string | undefined
  /** Since this start: ranges that are whole again, and cells that other replicas gave back. */
  readonly rangesFilled: number
  readonly cellsGivenBack: number
}

export interface LostRanges {
  readonly status: () => LostRangesStatus
}

/** A range of keys and the holes that it covers. */
interface Lost extends KeyRange {
  readonly holes: ReadonlyArray<Holes.Hole>
}

interface Replica {
  readonly id: NodeId
  readonly address: string
  /** Which it shares with this node. */
  readonly partitions: ReadonlyArray<number>
}

/** Runs in the scope. */
export const make = Effect.fnUntraced(
  function*(options: LostRangesOptions): Effect.fn.Return<LostRanges, never, Scope.Scope> {
    const { ring, storage } = options
    const clock = yield* Clock.Clock
    const graceMillis = graceTimeouts * Duration.toMillis(options.replicaTimeout)
    /** When each hole was noticed. */
    let noticed: ReadonlyMap<string, number> = new Map()
    let notBeforeMillis = 0
    let delayMillis = retryMillis.first
    let status: LostRangesStatus = { state: "idle", reason: undefined, rangesFilled: 0, cellsGivenBack: 0 }

    const become = (state: LostRangesStatus["state"], reason?: string) =>
      Effect.sync(() => {
        status = { ...status, state, reason }
      })

    const notice = (holes: ReadonlyArray<Holes.Hole>, now: number) => {
      noticed = new Map(holes.map((hole) => [nameOf(hole), noticed.get(nameOf(hole)) ?? now]))
      return holes.filter((hole) => noticed.get(nameOf(hole))! + graceMillis <= now)
    }

    const fill = Effect.fnUntraced(function*(lost: Lost, replicas: ReadonlyArray<Replica>) {
      const { epoch } = ring.current()
      let cells = 0
      for (let from = lost.from; compare(from, lost.to) < 0;) {
        const page = yield* newestOf(options, replicas, { from, to: lost.to })
        cells += yield* takeBack(options, replicas, page)
        from = page.to
      }
      // A node that joined meanwhile was not asked.
      if (ring.current().epoch !== epoch) return
      yield* storage.closeHoles(lost.holes)
      const { cellsGivenBack, rangesFilled } = status
      status = { ...status, rangesFilled: rangesFilled + 1, cellsGivenBack: cellsGivenBack + cells }
      const files = [...new Set(lost.holes.map(({ file }) => file))].join(", ")
      yield* Effect.logInfo(
        `filled the lost range of keys from ${JSON.stringify(lost.from)} up to ${
          JSON.stringify(lost.to)
        }, damaged in ${files}: ` +
          `${cells} cells came back from ${replicas.map(({ id }) => id).join(" and ")}`
      )
      options.onFilled()
    })

    const attend = Effect.fnUntraced(function*(holes: ReadonlyArray<Holes.Hole>) {
      const now = uptimeMillisUnsafe(clock)
      const due = notice(holes, now)
      if (now < notBeforeMillis) return
      const replicas = replicasOf(options)
      if (typeof replicas === "string") return yield* become("waiting", replicas)
      if (due.length === 0) return yield* become("waiting", "for reads and writes to end that were under way")
      yield* become("running")
      for (const lost of rangesOf(due)) yield* fill(lost, replicas)
      delayMillis = retryMillis.first
    })

    const retryLater = (error: StorageError | PeerFailed) =>
      Effect.suspend(() => {
        notBeforeMillis = uptimeMillisUnsafe(clock) + delayMillis
        delayMillis = Math.min(2 * delayMillis, retryMillis.most)
        return Effect.andThen(
          become("failed", error.message),
          Effect.logWarning(`lost ranges are not filled yet: ${error.message}`)
        )
      })

    const round = Effect.flatMap(
      storage.stats,
      ({ holes }) => holes.length === 0 ? become("idle") : Effect.catch(attend(holes), retryLater)
    )
    yield* Effect.forkScoped(
      restarting("filling of lost ranges", Effect.forever(Effect.andThen(round, Effect.sleep(interval))))
    )

    return { status: () => status }
  }
)

const nameOf = ({ counterMax, file, from, offsetBytes, to }: Holes.Hole): string =>
  JSON.stringify([file, offsetBytes, from, to, counterMax])

/** In key order; holes that touch are one range. */
const rangesOf = (holes: ReadonlyArray<Holes.Hole>): ReadonlyArray<Lost> => {
  const ranges: Array<Lost> = []
  for (const hole of holes.toSorted((left, right) => compare(left.from, right.from))) {
    const last = ranges.at(-1)
    if (last === undefined || compare(last.to, hole.from) < 0) ranges.push({ ...keysOf(hole), holes: [hole] })
    else {
      const to = compare(last.to, hole.to) < 0 ? hole.to : last.to
      ranges[ranges.length - 1] = { from: last.from, to, holes: [...last.holes, hole] }
    }
  }
  return ranges
}

const keysOf = ({ from, to }: Holes.Hole): KeyRange => ({ from, to })

/** All other replicas of this node's keys, or why they cannot be asked now. */
const replicasOf = (options: LostRangesOptions): ReadonlyArray<Replica> | string => {
  const { gossip, ring, self } = options
  if (!isWhole(options)) return "until other nodes are known"
  const replicas: Array<Replica> = []
  for (const id of ring.current().nodes) {
    if (id === self) continue
    const partitions = sharedPartitions(ring, self, id)
    if (partitions.length === 0) continue
    const address = gossip.address(id)
    if (address === undefined || gossip.liveness(id) !== "up") return `for ${id}, which is ${gossip.liveness(id)}`
    replicas.push({ id, address, partitions })
  }
  return replicas.length === 0 ? "for rondo storage forget-lost: no other node has replicas of these keys" : replicas
}

/** The newest versions of the first keys of a range, and the key up to which these are all. */
interface Page extends KeyRange {
  readonly newest: Map<Key, { readonly version: Version.Version; readonly holder: Replica }>
}

const newestOf = Effect.fnUntraced(function*(
  { client }: LostRangesOptions,
  replicas: ReadonlyArray<Replica>,
  range: KeyRange
): Effect.fn.Return<Page, PeerFailed> {
  const told = yield* Effect.forEach(
    replicas,
    (replica) =>
      client.versions(replica.address, replica.partitions, range).pipe(
        Stream.timeoutOrElse({ duration: requestTimeout, orElse: () => Stream.fail(stalled(replica)) }),
        Stream.take(versionsPerPageMax),
        Stream.runCollect,
        Effect.filterOrFail(
          (versions) => versions.every(({ key }) => isWithin(range, key)),
          () => new PeerFailed({ peer: replica.id, reason: "bad-answer", detail: "keys out of the range asked for" })
        )
      ),
    { concurrency: "unbounded" }
  )
  let to = range.to
  for (const versions of told) {
    const end = versions.length < versionsPerPageMax ? range.to : Holes.after(versions.at(-1)!.key)
    if (compare(end, to) < 0) to = end
  }
  const newest: Page["newest"] = new Map()
  told.forEach((versions, index) => {
    for (const { key, version } of versions) {
      if (compare(key, to) >= 0) break
      const known = newest.get(key)
      if (known === undefined || Version.compare(version, known.version) > 0) {
        newest.set(key, { version, holder: replicas[index]! })
      }
    }
  })
  return { from: range.from, to, newest }
})

const isWithin = ({ from, to }: KeyRange, key: string): boolean => compare(from, key) <= 0 && compare(key, to) < 0

/** Stores what others have newer than this node, and returns how many cells that were. */
const takeBack = Effect.fnUntraced(function*(
  options: LostRangesOptions,
  replicas: ReadonlyArray<Replica>,
  { from, newest, to }: Page
) {
  yield* Stream.runForEach(options.storage.scan({ from, to, damage: "skip" }), ({ key, version }) =>
    Effect.sync(() => {
      const known = newest.get(key)
      if (known !== undefined && Version.compare(version, known.version) >= 0) newest.delete(key)
    }))
  const cells = newest.size
  for (const replica of replicas) {
    const keys = Array.from(newest).flatMap(([key, { holder }]) => holder === replica ? [key] : [])
    yield* fetch(options, replica, keys, newest)
  }
  return cells
})

const fetch = Effect.fnUntraced(function*(
  { client, giveBack }: LostRangesOptions,
  replica: Replica,
  keys: ReadonlyArray<Key>,
  newest: Page["newest"]
) {
  const missing = new Set(keys)
  const isNewest = ({ key, version }: Cell): boolean => {
    const known = newest.get(key)
    return known !== undefined && Version.compare(version, known.version) >= 0 && missing.delete(key)
  }
  yield* Stream.fromIterable(keys).pipe(
    Stream.grouped(keysPerRequestMax),
    Stream.flatMap((group) => client.cells(replica.address, group)),
    Stream.timeoutOrElse({ duration: requestTimeout, orElse: () => Stream.fail(stalled(replica)) }),
    Stream.filter(isNewest),
    CellBytes.inBatches,
    Stream.runForEach(giveBack)
  )
  if (missing.size > 0) {
    const detail = `it did not hand over ${missing.size} cells that it had listed`
    return yield* new PeerFailed({ peer: replica.id, reason: "bad-answer", detail })
  }
})

const stalled = ({ id }: Replica) => new PeerFailed({ peer: id, reason: "timeout", detail: "filling of lost ranges" })
