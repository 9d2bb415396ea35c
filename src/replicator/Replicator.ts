/**
 * Copies on other replicas: sends cells to them in batches, keeps hints for those that are away, takes their cells
 * in, and gets in sync with them after an absence.
 *
 * Invariants
 * - All movement of cells is a merge by version, so sending one twice, late or out of order is harmless.
 * - A node whose data directory is new or was salvaged answers no reads and counts for no write quorum until it has
 *   compared its partitions with every other replica: it may have lost what it once acknowledged.
 */
import { Context, Effect, Layer, Stream } from "effect"
import * as LostRanges from "../anti-entropy/LostRanges.ts"
import * as PartitionDigest from "../anti-entropy/PartitionDigest.ts"
import * as Reconciler from "../anti-entropy/Reconciler.ts"
import { LamportClock } from "../clock/LamportClock.ts"
import { ClusterConfig } from "../config/ClusterConfig.ts"
import { NodeConfig } from "../config/NodeConfig.ts"
import { Disk } from "../disk/Disk.ts"
import { Identity } from "../disk/Identity.ts"
import type { StorageError } from "../disk/StorageError.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import type { Key } from "../domain/Key.ts"
import type { NodeId } from "../domain/NodeId.ts"
import * as Partition from "../domain/Partition.ts"
import type { Version } from "../domain/Version.ts"
import { Gossip } from "../gossip/Gossip.ts"
import { Metrics } from "../observability/Metrics.ts"
import {
  type Digests,
  type KeyRange,
  PeerClient,
  type ReadAnswer,
  type ReadRequest,
  type WriteAnswer
} from "../peer/PeerClient.ts"
import { PeerFailed } from "../peer/PeerError.ts"
import * as Hints from "../replication/Hints.ts"
import * as Peers from "../replication/Peers.ts"
import { Ring } from "../ring/Ring.ts"
import * as Holes from "../storage/manifest/Holes.ts"
import { Storage } from "../storage/Storage.ts"

export interface ReplicatorStatus {
  /**
   * The data directory is new or was salvaged, so this node does not answer reads until it has compared with every
   * replica.
   */
  readonly recovering: boolean
  readonly hints: ReadonlyArray<Hints.HintStatus>
  readonly comparisons: ReadonlyArray<Reconciler.ComparisonStatus>
  readonly readRepairs: number
  readonly lostRanges: LostRanges.LostRangesStatus
}

export class Replicator extends Context.Service<Replicator, {
  /** Sends one cell to a replica, which may be this node, in a batch with the others that wait for it. */
  readonly write: (replica: NodeId, cell: Cell) => Effect.Effect<WriteAnswer, PeerFailed>
  /** As `write`, for a replica that a read found stale. */
  readonly repair: (replica: NodeId, cell: Cell) => Effect.Effect<WriteAnswer, PeerFailed>
  readonly read: (replica: NodeId, request: ReadRequest) => Effect.Effect<ReadAnswer, PeerFailed>
  /** Keeps the cell on disk for a replica that is away. Never fails and never waits: a full log drops the hint. */
  readonly hint: (replica: NodeId, cell: Cell) => void
  /** Takes in cells that a peer sent; fails with `refused` for a version absurdly far ahead of this node's clock. */
  readonly receive: (cells: ReadonlyArray<Cell>) => Effect.Effect<ReadonlyArray<WriteAnswer>, StorageError | PeerFailed>
  /** Answers a peer's reads; fails with `recovering` while this node may have lost what it once acknowledged. */
  readonly answer: (requests: ReadonlyArray<ReadRequest>) => Effect.Effect<ReadonlyArray<ReadAnswer>, PeerFailed>
  readonly digests: Effect.Effect<Digests, StorageError>
  /** Of what can be read; or of a range for which this node can vouch, see `vouch`. */
  readonly versions: (
    partitions: ReadonlyArray<number>,
    vouchedFor?: KeyRange
  ) => Stream.Stream<{ readonly key: Key; readonly version: Version }, StorageError | PeerFailed>
  /** Fails when this node may have stored something of the range once that it does not have, or cannot read, now. */
  readonly vouch: (range: KeyRange) => Effect.Effect<void, PeerFailed>
  /** As far as they can be read. */
  readonly cells: (keys: ReadonlyArray<Key>) => Stream.Stream<Cell, StorageError>
  readonly status: Effect.Effect<ReplicatorStatus>
}>()("rondo/replicator/Replicator") {
  static readonly layer = Layer.effect(
    Replicator,
    Effect.gen(function*() {
      const { partitions, replicationFactor } = yield* ClusterConfig
      const config = yield* NodeConfig
      const disk = yield* Disk
      const identity = yield* Identity
      const storage = yield* Storage
      const ring = yield* Ring
      const gossip = yield* Gossip
      const client = yield* PeerClient
      const clock = yield* LamportClock
      const peers = yield* Peers.make(client, gossip, yield* Metrics, config)
      const hints = yield* Hints.make(disk, config)
      const self = identity.nodeId
      let readRepairs = 0

      /** The clock stays above every version that is stored. */
      const observed = <A>(cells: ReadonlyArray<Cell>, effect: Effect.Effect<A, StorageError>) =>
        Effect.suspend((): Effect.Effect<A, StorageError | PeerFailed> => {
          let newest: Version | undefined
          for (const { version } of cells) {
            if (newest === undefined || version.counter > newest.counter) newest = version
          }
          return newest === undefined || clock.observe(newest.counter) ? effect : Effect.fail(counterRefused(newest))
        })

      const takeIn = (cells: ReadonlyArray<Cell>) =>
        observed(
          cells,
          cells.length === 1
            ? applyOne(cells)
            : Effect.catchIf(storage.apply(cells), isDamage, () => oneByOne(cells))
        )

      const applyOne = (cells: ReadonlyArray<Cell>): Effect.Effect<ReadonlyArray<WriteAnswer>, StorageError> =>
        Effect.catchIf(storage.apply(cells), isDamage, () => Effect.succeed([unreadableWrite]))

      /** What cannot be read of one key is no reason to refuse the others that came with it. */
      const oneByOne = (cells: ReadonlyArray<Cell>): Effect.Effect<ReadonlyArray<WriteAnswer>, StorageError> =>
        Effect.map(Effect.forEach(cells, (cell) => applyOne([cell])), (answers) => answers.flat())

      const digestsOf = (damage: "fail" | "skip"): Effect.Effect<Digests, StorageError> =>
        Effect.suspend(() => {
          const accumulated = PartitionDigest.make(partitions)
          return Effect.map(
            Stream.runForEachArray(storage.scan({ damage }), (cells) =>
              Effect.sync(() => {
                for (const cell of cells) accumulated.add(Partition.of(cell.key, partitions), cell)
              })),
            () => ({ digests: accumulated.format(), isDamaged: damage === "skip" })
          )
        })
      // Only what was read without a gap is known to be whole.
      const digests = Effect.catchIf(digestsOf("fail"), isDamage, () => digestsOf("skip"))

      const reconciler = yield* Reconciler.make({
        self,
        replicationFactor,
        comparisonInterval: config.comparisonInterval,
        identity,
        gossip,
        ring,
        storage,
        client,
        hints,
        peers,
        digests,
        receive: takeIn
      })
      const lostRanges = yield* LostRanges.make({
        self,
        replicationFactor,
        replicaTimeout: config.replicaTimeout,
        gossip,
        ring,
        storage,
        client,
        giveBack: (cells) => observed(cells, storage.apply(cells, { ignoreDamage: true })),
        onFilled: reconciler.missedLocally
      })

      const vouch = (range: KeyRange): Effect.Effect<void, PeerFailed> =>
        Effect.flatMap(storage.stats, ({ holes }) => {
          const hole = holes.find((hole) => Holes.meets(hole, range.from, range.to))
          return reconciler.recovering()
            ? Effect.fail(notYet(self))
            : hole === undefined
            ? Effect.void
            : Effect.fail(storageFailed(self, Holes.corruption(hole)))
        })

      const scanVouched = (range: KeyRange) => Stream.unwrap(Effect.as(vouch(range), storage.scan(range)))

      /** A node that may have forgotten what it once took cannot vouch that a write is its newest. */
      const counted = (isRecovering: boolean) => (answer: WriteAnswer): WriteAnswer =>
        isRecovering && answer._tag === "Accepted" ? recoveringAnswer : answer

      const receive = (cells: ReadonlyArray<Cell>) =>
        Effect.suspend(() => {
          const isRecovering = reconciler.recovering()
          return isRecovering ? Effect.map(takeIn(cells), (answers) => answers.map(counted(true))) : takeIn(cells)
        })

      const writeHere = (cell: Cell): Effect.Effect<WriteAnswer, PeerFailed> =>
        Effect.suspend(() => {
          const toAnswer = counted(reconciler.recovering())
          return Effect.mapBoth(storage.apply([cell]), {
            onSuccess: ([applied]) => toAnswer(applied!),
            onFailure: (error) => {
              reconciler.missedLocally()
              return storageFailed(self, error)
            }
          })
        })

      const readHere = ({ full, key }: ReadRequest): Effect.Effect<ReadAnswer, PeerFailed> =>
        Effect.suspend(() => {
          if (reconciler.recovering()) return Effect.fail(notYet(self))
          return Effect.mapError(
            full
              ? Effect.map(storage.get(key), (cell) => ({ version: cell?.version, cell }))
              : Effect.map(storage.version(key), (version) => ({ version, cell: undefined })),
            (error) => storageFailed(self, error)
          )
        })

      const readThere = (replica: NodeId, request: ReadRequest): Effect.Effect<ReadAnswer, PeerFailed> =>
        Effect.flatMap(peers.read(replica, request), (answer) => {
          if (answer.version !== undefined) clock.observe(answer.version.counter)
          return answer.isUnreadable === true ? Effect.fail(unreadableThere(replica)) : Effect.succeed(answer)
        })

      /** One key that cannot be read does not take the others of its batch along. */
      const answerOne = (request: ReadRequest) =>
        Effect.catchIf(readHere(request), (error) => error.reason === "storage", () => Effect.succeed(unreadableAnswer))

      const write = (replica: NodeId, cell: Cell) => replica === self ? writeHere(cell) : peers.write(replica, cell)

      return Replicator.of({
        write,
        repair: (replica, cell) =>
          Effect.suspend(() => {
            readRepairs++
            return Effect.flatMap(write(replica, cell), (answer) =>
              answer._tag === "Uncounted" && answer.reason === "storage"
                ? Effect.fail(unreadableThere(replica))
                : Effect.succeed(answer))
          }),
        read: (replica, request) => replica === self ? readHere(request) : readThere(replica, request),
        hint: hints.add,
        receive,
        answer: (requests) => Effect.forEach(requests, answerOne),
        digests,
        versions: (wanted, range) => {
          const inWanted = new Set(wanted)
          return Stream.filter(
            range === undefined ? storage.scan({ damage: "skip" }) : scanVouched(range),
            ({ key }) => inWanted.has(Partition.of(key, partitions))
          )
        },
        vouch,
        cells: (keys) =>
          Stream.fromIterable(keys).pipe(
            Stream.mapEffect((key) => Effect.catchIf(storage.get(key), isDamage, () => Effect.undefined)),
            Stream.filter((cell) => cell !== undefined)
          ),
        status: Effect.sync(() => ({
          recovering: reconciler.recovering(),
          hints: hints.status(),
          comparisons: reconciler.status(),
          readRepairs,
          lostRanges: lostRanges.status()
        }))
      })
    })
  )
}

const isDamage = (error: StorageError): boolean => error._tag === "Corruption"

const recoveringAnswer: WriteAnswer = { _tag: "Uncounted", reason: "recovering" }
const unreadableAnswer: ReadAnswer = { version: undefined, cell: undefined, isUnreadable: true }
const unreadableWrite: WriteAnswer = { _tag: "Uncounted", reason: "storage" }

const unreadableThere = (peer: NodeId) =>
  new PeerFailed({ peer, reason: "storage", detail: "what it holds of this key cannot be read" })

const storageFailed = (peer: NodeId, error: StorageError) =>
  new PeerFailed({ peer, reason: "storage", detail: error.message })

const notYet = (peer: NodeId) =>
  new PeerFailed({
    peer,
    reason: "recovering",
    detail: "its data directory is new or salvaged, and not yet compared with its replicas"
  })

const counterRefused = ({ counter, nodeId }: Version) =>
  new PeerFailed({
    peer: nodeId,
    reason: "refused",
    detail: `its counter ${counter} is absurdly far ahead of this node's clock`
  })
