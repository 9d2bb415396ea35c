/**
 * Gets back the cells that damage took from this node. Storage remembers each range of keys of which it lost cells (a
 * hole). This fills the hole with the newest cells of all other replicas; only then may storage forget it.
 *
 * Why no promise is broken when the node has lost a cell:
 * - An acknowledged write, and a version that a quorum read returned, is on W (or R) replicas. So at least one other
 *   replica took it before its client was answered. Nobody knows which one, so all are asked, and this waits for one
 *   that may itself have lost something of the range (`vouch`). The newest of their cells is at least as new as the one
 *   that was acknowledged and lost, and no deleted key comes back.
 * - A quorum may still count an answer that this node gave before the loss, together with one that another replica
 *   gives later. That replica may take the cell after it was asked here, and then the cell would be on one replica
 *   only. So a hole stays open until all attempts have ended that ran when it was noticed, see `graceTimeouts`.
 * - Only the newest version among all replicas is stored, so reads may find it before the hole is closed. Until then
 *   they fail for all other keys of the range, and quorums come from the other replicas.
 * - A write that arrives meanwhile is taken only when it is newer than anything that may be lost. Storage sees to that.
 * - Damage may come meanwhile, and take such a write, or what was given back. It makes a hole of its own, which is
 *   filled for itself, and storage refuses what the replicas gave for earlier holes where it may have taken something
 *   newer.
 * - Cells are durable before the hole is closed. A crash in between leaves the hole, and all of it is done again.
 *
 * A cell that no other replica has is lost. Storage keeps the hole when there is nobody to ask: in a cluster of one
 * node, or when two replicas have lost cells of the same range. An operator may give it up (`rondo storage
 * forget-lost`).
 */
import { Clock, Context, Duration, Effect, Layer, Result, Schedule, Stream } from "effect"
import { ClusterConfig } from "../config/ClusterConfig.ts"
import { NodeConfig } from "../config/NodeConfig.ts"
import type { StorageError } from "../disk/StorageError.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import { compare } from "../domain/Key.ts"
import * as Version from "../domain/Version.ts"
import { Gossip } from "../gossip/Gossip.ts"
import { restarting } from "../observability/restarting.ts"
import { uptimeMillisUnsafe } from "../observability/uptime.ts"
import { keysPerRequestMax } from "../peer/PeerApi.ts"
import { type KeyRange, PeerClient } from "../peer/PeerClient.ts"
import { PeerFailed } from "../peer/PeerError.ts"
import * as CellBytes from "../replication/cellBytes.ts"
import { Intake } from "../replication/Intake.ts"
import { Ring } from "../ring/Ring.ts"
import type * as Holes from "../storage/manifest/Holes.ts"
import { Merger } from "../storage/merge/Merger.ts"
import * as StreamSource from "../storage/merge/StreamSource.ts"
import { Storage } from "../storage/Storage.ts"
import * as partners from "./partners.ts"
import { Reconciler } from "./Reconciler.ts"
import * as Replica from "./Replica.ts"

/** Cheap when nothing is lost. */
const interval = Duration.seconds(1)
/** A peer may be away for long. */
const backoff = Schedule.min([Schedule.exponential("2 seconds"), Schedule.spaced("30 seconds")])

/**
 * How many replica timeouts may pass before an answer can no longer count. A read or write waits in a queue of four
 * batches behind the one that is under way, each bounded by the timeout, and a read that finds a stale replica is
 * followed by a write. The rest is for clocks that differ.
 */
const graceTimeouts = 12

/** Progress with the ranges of keys of which this node has lost cells. */
export interface LostRangesStatus {
  /** `reason` says what it is `waiting` for, or why it `failed`; then it tries again. */
  readonly state: "idle" | "waiting" | "running" | "failed"
  readonly reason: string | undefined
  /** Since this start: ranges that are whole again, and cells that other replicas gave back. */
  readonly rangesFilled: number
  readonly cellsGivenBack: number
}

export class LostRanges extends Context.Service<LostRanges, {
  readonly status: () => LostRangesStatus
}>()("rondo/anti-entropy/LostRanges") {
  /** Looks for holes once a second. */
  static readonly layer = Layer.effect(LostRanges, Effect.suspend(() => make))
}

/** A range of keys and the holes that it covers. */
interface Lost extends KeyRange {
  readonly holes: ReadonlyArray<Holes.Hole>
}

/** A replica and the partitions that it shares with this node. */
interface OtherReplica {
  readonly replica: Replica.Replica
  readonly partitions: ReadonlyArray<number>
}

type Source = StreamSource.StreamSource<Replica.KeyVersion, StorageError | PeerFailed>

/** Versions that a replica has newer than all others. */
interface Wanted {
  readonly replica: Replica.Replica
  readonly versions: Array<Replica.KeyVersion>
}

const make = Effect.gen(function*() {
  const { replicaTimeout } = yield* NodeConfig
  const { replicationFactor } = yield* ClusterConfig
  const client = yield* PeerClient
  const clock = yield* Clock.Clock
  const gossip = yield* Gossip
  const intake = yield* Intake
  const reconciler = yield* Reconciler
  const ring = yield* Ring
  const storage = yield* Storage
  const graceMillis = graceTimeouts * Duration.toMillis(replicaTimeout)
  /** When each hole was noticed. */
  let noticed: ReadonlyMap<string, number> = new Map()
  let status: LostRangesStatus = { state: "idle", reason: undefined, rangesFilled: 0, cellsGivenBack: 0 }

  const become = (state: LostRangesStatus["state"], reason?: string) =>
    Effect.sync(() => {
      status = { ...status, state, reason }
    })

  const notice = (holes: ReadonlyArray<Holes.Hole>, nowMillis: number) => {
    noticed = new Map(holes.map((hole) => [nameOf(hole), noticed.get(nameOf(hole)) ?? nowMillis]))
    const isDue = (hole: Holes.Hole) => noticed.get(nameOf(hole))! + graceMillis <= nowMillis
    return rangesOf(holes).filter((range) => range.holes.every(isDue))
  }

  /** All other replicas of this node's keys, or why they cannot be asked now. */
  const otherReplicas = (): ReadonlyArray<OtherReplica> | string => {
    const snapshot = ring.current()
    if (!partners.knowsOthers(snapshot, replicationFactor)) return "until other nodes are known"
    const replicas: Array<OtherReplica> = []
    for (const id of partners.othersOf(snapshot, gossip.self)) {
      const partitions = partners.sharedPartitions(snapshot, gossip.self, id)
      if (partitions.length === 0) continue
      const address = gossip.address(id)
      if (address === undefined || gossip.liveness(id) !== "up") return `for ${id}, which is ${gossip.liveness(id)}`
      replicas.push({ replica: Replica.make(client, ring, id, address), partitions })
    }
    return replicas.length === 0 ? "for rondo storage forget-lost: no other node has replicas of these keys" : replicas
  }

  const fill = Effect.fnUntraced(function*(lost: Lost, replicas: ReadonlyArray<OtherReplica>) {
    const { epoch } = ring.current()
    const cells = yield* getBack(replicas, lost, storage, intake)
    // A node that joined meanwhile was not asked.
    if (ring.current().epoch !== epoch) return
    yield* storage.closeHoles(lost.holes)
    const { cellsGivenBack, rangesFilled } = status
    status = { ...status, rangesFilled: rangesFilled + 1, cellsGivenBack: cellsGivenBack + cells }
    const files = [...new Set(lost.holes.map(({ file }) => file))].join(", ")
    const range = `${JSON.stringify(lost.from)} up to ${JSON.stringify(lost.to)}`
    const others = replicas.map(({ replica }) => replica.id).join(" and ")
    yield* Effect.logInfo(`${cells} cells of the keys from ${range}, lost in ${files}, came back from ${others}`)
    reconciler.missedLocally()
  })

  const attend = Effect.fnUntraced(function*(holes: ReadonlyArray<Holes.Hole>) {
    const due = notice(holes, uptimeMillisUnsafe(clock))
    if (holes.length === 0) return yield* become("idle")
    const replicas = otherReplicas()
    if (typeof replicas === "string") return yield* become("waiting", replicas)
    if (due.length === 0) return yield* become("waiting", "for earlier reads and writes to finish")
    yield* become("running")
    // One that cannot be filled yet holds up no other.
    let failure: StorageError | PeerFailed | undefined
    for (const lost of due) {
      const outcome = yield* Effect.result(fill(lost, replicas))
      if (Result.isFailure(outcome)) failure ??= outcome.failure
    }
    if (failure !== undefined) return yield* failure
  })

  const failed = ({ message }: StorageError | PeerFailed) =>
    Effect.andThen(become("failed", message), Effect.logWarning(`lost ranges are not filled yet: ${message}`))

  const round = Effect.flatMap(storage.stats, ({ holes }) => attend(holes)).pipe(
    Effect.tapError(failed),
    Effect.retry(backoff),
    Effect.ignore
  )
  yield* Effect.forkScoped(
    restarting("filling of lost ranges", Effect.forever(Effect.andThen(round, Effect.sleep(interval))))
  )

  return LostRanges.of({ status: () => status })
})

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

/** Stores the cells of the range that other replicas have newer than this node, and returns how many these were. */
const getBack = Effect.fnUntraced(function*(
  replicas: ReadonlyArray<OtherReplica>,
  { from, holes, to }: Lost,
  storage: Storage["Service"],
  intake: Intake["Service"]
) {
  const giveBack = (cells: ReadonlyArray<Cell>) => intake.giveBack(cells, holes)
  const mine = yield* StreamSource.make(storage.scan({ from, to, damage: "skip" }))
  const wantedOf = new Map<Source, Wanted>()
  for (const { partitions, replica } of replicas) {
    wantedOf.set(yield* replica.versions(partitions, { from, to }), { replica, versions: [] })
  }
  const merger = new Merger<Source>([mine, ...wantedOf.keys()], {
    compare: (left, right) => compare(left.head()!.key, right.head()!.key),
    isNewer: (left, right) => {
      const order = Version.compare(left.head()!.version, right.head()!.version)
      return order > 0 || (order === 0 && left === mine)
    }
  })
  let cells = 0
  do {
    yield* StreamSource.loadWaiting(merger)
    while (merger.waiting.length === 0) {
      const newest = merger.next()
      if (newest === undefined) break
      const wanted = wantedOf.get(newest)
      if (wanted !== undefined && wanted.versions.push(newest.head()!) === keysPerRequestMax) {
        cells += yield* fetch(wanted, giveBack)
      }
      merger.advance()
    }
  } while (merger.waiting.length > 0)
  for (const wanted of wantedOf.values()) cells += yield* fetch(wanted, giveBack)
  return cells
}, Effect.scoped)

/** Stores the wanted cells and returns how many these were. */
const fetch = Effect.fnUntraced(function*(
  { replica, versions }: Wanted,
  giveBack: (cells: ReadonlyArray<Cell>) => ReturnType<Intake["Service"]["giveBack"]>
) {
  const missing = new Map(versions.splice(0).map(({ key, version }) => [key, version]))
  const count = missing.size
  if (count === 0) return 0
  const isWanted = ({ key, version }: Cell) => Version.compare(version, missing.get(key)!) >= 0 && missing.delete(key)
  yield* replica.cells(Array.from(missing.keys())).pipe(
    Stream.filter(isWanted),
    CellBytes.inBatches,
    Stream.runForEach(giveBack)
  )
  if (missing.size === 0) return count
  const detail = `it did not hand over ${missing.size} cells that it had listed`
  return yield* new PeerFailed({ peer: replica.id, reason: "bad-answer", detail })
})
