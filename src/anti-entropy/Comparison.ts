/**
 * Brings this node and one other replica in sync, partition by partition: first digests, then the versions of the
 * partitions that differ, then only the cells that either side lacks.
 *
 * Both sides give their versions in key order, and one pass merges them. Damage on either side does not stop it: each
 * side gives what it can read, and all that moves is merged, so nothing gets worse. A damaged side may have had cells
 * that it cannot report, so such a comparison is incomplete.
 *
 * Invariants
 * - Each side is scanned once, and only when something differs.
 * - Memory is bounded by one chunk of each side, one batch of keys and two of cells, however much differs.
 */
import { Effect, Stream } from "effect"
import type { StorageError } from "../disk/StorageError.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import { compare, type Key } from "../domain/Key.ts"
import type { NodeId } from "../domain/NodeId.ts"
import * as Version from "../domain/Version.ts"
import { keysPerRequestMax } from "../peer/PeerApi.ts"
import type { Digests } from "../peer/PeerClient.ts"
import type { PeerFailed } from "../peer/PeerError.ts"
import * as CellBytes from "../replication/cellBytes.ts"
import type { Ring } from "../ring/Ring.ts"
import * as StreamSource from "../storage/merge/StreamSource.ts"
import type { Storage } from "../storage/Storage.ts"
import { sharedPartitions } from "./partners.ts"
import type { KeyVersion, Replica } from "./Replica.ts"

export interface ComparisonOptions {
  readonly self: NodeId
  readonly replica: Replica
  readonly storage: Storage["Service"]
  readonly ring: Ring["Service"]
  /** This node's digests. */
  readonly digests: Effect.Effect<Digests, StorageError>
  /** Takes in cells of the replica. */
  readonly receive: (cells: ReadonlyArray<Cell>) => Effect.Effect<unknown, StorageError | PeerFailed>
  readonly onProgress: (progress: ComparisonProgress) => void
}

export interface ComparisonProgress {
  /** Partitions whose contents differed when it began. */
  readonly differing: number
  readonly received: number
  readonly sent: number
}

/** Returns whether the other replica reported all that it ever stored. */
export const run = Effect.fnUntraced(function*(options: ComparisonOptions) {
  const { replica, ring, self } = options
  const mine = yield* options.digests
  const theirs = yield* replica.digests
  const differing = sharedPartitions(ring.current(), self, replica.id).filter((partition) =>
    mine.digests[partition] !== theirs.digests[partition]
  )
  options.onProgress({ differing: differing.length, received: 0, sent: 0 })
  if (differing.length > 0) yield* exchange(options, differing)
  return !theirs.isDamaged
})

/** Moves the cells that differ in these partitions, while it walks both sides. */
const exchange = Effect.fnUntraced(function*(options: ComparisonOptions, partitions: ReadonlyArray<number>) {
  const { onProgress, receive, replica, ring, storage } = options
  const progress = { differing: partitions.length, received: 0, sent: 0 }
  const moved = (done: "received" | "sent", { length }: ReadonlyArray<Cell>) => {
    progress[done] += length
    onProgress({ ...progress })
  }
  const outgoing = new CellBytes.Cutter(CellBytes.streamed)
  const send = (cells: ReadonlyArray<Cell>) => Effect.map(replica.write(cells), () => moved("sent", cells))
  const wanted: Array<Key> = []
  const fetchWanted = Effect.suspend(() =>
    replica.cells(wanted.splice(0, keysPerRequestMax)).pipe(
      CellBytes.inBatches,
      Stream.runForEach((cells) => Effect.map(receive(cells), () => moved("received", cells)))
    )
  )

  const inPartitions = new Set(partitions)
  const mine = yield* StreamSource.make(
    Stream.filter(storage.scan({ damage: "skip" }), ({ key }) => inPartitions.has(ring.partitionOf(key)))
  )
  const theirs = yield* replica.versions(partitions)
  do {
    if (mine.mustLoad()) yield* mine.load
    if (theirs.mustLoad()) yield* theirs.load
    const { newerHere, newerThere } = merge(mine, theirs)
    for (const batch of outgoing.push(newerHere)) yield* send(batch)
    wanted.push(...newerThere)
    while (wanted.length >= keysPerRequestMax) yield* fetchWanted
  } while (mine.mustLoad() || theirs.mustLoad())
  for (const batch of outgoing.end()) yield* send(batch)
  if (wanted.length > 0) yield* fetchWanted
}, Effect.scoped)

/** Merges what is loaded, up to the end of one side's chunk. */
const merge = (
  mine: StreamSource.StreamSource<Cell, unknown>,
  theirs: StreamSource.StreamSource<KeyVersion, unknown>
) => {
  const newerHere: Array<Cell> = []
  const newerThere: Array<Key> = []
  while (!mine.mustLoad() && !theirs.mustLoad()) {
    const here = mine.head()
    const there = theirs.head()
    if (here === undefined && there === undefined) break
    const byKey = here === undefined ? 1 : there === undefined ? -1 : compare(here.key, there.key)
    const newer = byKey === 0 ? Version.compare(here!.version, there!.version) : -byKey
    if (newer > 0) newerHere.push(here!)
    else if (newer < 0) newerThere.push(there!.key)
    if (byKey <= 0) mine.advance()
    if (byKey >= 0) theirs.advance()
  }
  return { newerHere, newerThere }
}
