/**
 * Brings this node and one peer in sync, partition by partition: digests first, then the versions of the partitions
 * that differ, then only the cells that either side lacks.
 *
 * Damage on either side does not stop it: each side tells of what it can read, and what moves is merged, so nothing is
 * made worse. What a damaged side does not tell of, it may have had, so the comparison is not whole then.
 *
 * Invariant
 * - Memory is bounded by one group of partitions' keys and one batch of cells, however much differs.
 */
import { type Duration, Effect, Stream } from "effect"
import type { StorageError } from "../disk/StorageError.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import type { Key } from "../domain/Key.ts"
import type { NodeId } from "../domain/NodeId.ts"
import * as Version from "../domain/Version.ts"
import { keysPerRequestMax } from "../peer/PeerApi.ts"
import type { Digests, PeerClient } from "../peer/PeerClient.ts"
import { PeerFailed } from "../peer/PeerError.ts"
import * as CellBytes from "../replication/cellBytes.ts"
import type { Ring } from "../ring/Ring.ts"
import type { Storage } from "../storage/Storage.ts"
import * as PartitionDigest from "./PartitionDigest.ts"

/** Keys and versions held in memory at once, about 10 MB. */
const cellsPerGroupMax = 50_000

export interface ComparisonOptions {
  readonly self: NodeId
  readonly peer: NodeId
  readonly address: string
  readonly client: PeerClient["Service"]
  readonly storage: Storage["Service"]
  readonly ring: Ring["Service"]
  /** This node's digests. */
  readonly digests: Effect.Effect<Digests, StorageError>
  /** Takes in cells of the peer. */
  readonly receive: (cells: ReadonlyArray<Cell>) => Effect.Effect<unknown, StorageError | PeerFailed>
  /** For one request; a stream may take this long between two lines. */
  readonly timeout: Duration.Duration
  readonly onProgress: (progress: Partial<ComparisonProgress>) => void
}

export interface ComparisonProgress {
  readonly differing: number
  readonly received: number
  readonly sent: number
}

/** Returns whether the peer told of everything that it ever stored. */
export const run = Effect.fnUntraced(function*(options: ComparisonOptions) {
  const { address, client, onProgress, peer, ring, self, timeout } = options
  const mine = yield* options.digests
  const theirs = yield* Effect.timeoutOrElse(client.digests(address), {
    duration: timeout,
    orElse: () => Effect.fail(stalled(peer))
  })
  const shared = sharedPartitions(ring, self, peer)
  const groups = PartitionDigest.differing(shared, mine.digests, theirs.digests, cellsPerGroupMax)
  onProgress({ differing: groups.reduce((sum, group) => sum + group.length, 0), received: 0, sent: 0 })
  let received = 0
  let sent = 0
  for (const group of groups) {
    const wanted = yield* exchange(options, group, (count) => onProgress({ sent: sent += count }))
    yield* fetch(options, wanted, (count) => onProgress({ received: received += count }))
  }
  return !theirs.isDamaged
})

/** Partitions of which both nodes are replicas. */
export const sharedPartitions = (ring: Ring["Service"], self: NodeId, peer: NodeId): ReadonlyArray<number> =>
  ring.current().preferenceLists.flatMap((nodes, partition) =>
    nodes.includes(self) && nodes.includes(peer) ? [partition] : []
  )

/** Sends what the peer lacks in these partitions and returns the keys that it has and this node lacks. */
const exchange = Effect.fnUntraced(function*(
  { address, client, ring, storage, timeout, peer }: ComparisonOptions,
  partitions: ReadonlyArray<number>,
  onSent: (count: number) => void
) {
  const theirs = new Map<Key, Version.Version>()
  yield* client.versions(address, partitions).pipe(
    Stream.timeoutOrElse({ duration: timeout, orElse: () => Stream.fail(stalled(peer)) }),
    Stream.runForEach(({ key, version }) =>
      Effect.sync(() => {
        theirs.set(key, version)
      })
    )
  )
  const inGroup = new Set(partitions)
  const isNewer = (cell: Cell): boolean => {
    if (!inGroup.has(ring.partitionOf(cell.key))) return false
    const version = theirs.get(cell.key)
    const order = version === undefined ? 1 : Version.compare(cell.version, version)
    if (order >= 0) theirs.delete(cell.key)
    return order > 0
  }
  const send = (cells: ReadonlyArray<Cell>) =>
    Effect.timeoutOrElse(client.write(address, cells), {
      duration: timeout,
      orElse: () => Effect.fail(stalled(peer))
    }).pipe(Effect.map(() => onSent(cells.length)))
  yield* storage.scan({ damage: "skip" }).pipe(
    Stream.filter(isNewer),
    CellBytes.inBatches,
    Stream.runForEach(send)
  )
  return [...theirs.keys()]
})

const fetch = (
  { address, client, peer, receive, timeout }: ComparisonOptions,
  keys: ReadonlyArray<Key>,
  onReceived: (count: number) => void
) =>
  Stream.fromIterable(keys).pipe(
    Stream.grouped(keysPerRequestMax),
    Stream.flatMap((group) => client.cells(address, group)),
    Stream.timeoutOrElse({ duration: timeout, orElse: () => Stream.fail(stalled(peer)) }),
    CellBytes.inBatches,
    Stream.runForEach((cells) => Effect.map(receive(cells), () => onReceived(cells.length)))
  )

const stalled = (peer: NodeId) => new PeerFailed({ peer, reason: "timeout", detail: "comparison of partitions" })
