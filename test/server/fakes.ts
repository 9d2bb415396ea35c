/** In-memory stand-ins for the services behind the HTTP face, with handles to steer them. */
import { Effect, Layer, Redacted, Stream } from "effect"
import { Holdings } from "../../src/anti-entropy/Holdings.ts"
import { ClusterConfig, type ClusterSettings, defaults as clusterDefaults } from "../../src/config/ClusterConfig.ts"
import { defaults as nodeDefaults, NodeConfig, type NodeSettings } from "../../src/config/NodeConfig.ts"
import { Coordinator } from "../../src/coordinator/Coordinator.ts"
import type { ReadQuorumNotReached, WriteQuorumNotReached } from "../../src/coordinator/CoordinatorError.ts"
import type { ReadOptions, WriteOptions } from "../../src/coordinator/receipts.ts"
import type { Cell, Value } from "../../src/domain/cell/Cell.ts"
import type { Key } from "../../src/domain/Key.ts"
import { NodeId } from "../../src/domain/NodeId.ts"
import { Incarnation, type Version } from "../../src/domain/Version.ts"
import { Gossip, type Liveness, type Member } from "../../src/gossip/Gossip.ts"
import { Metrics } from "../../src/observability/Metrics.ts"
import type { Digests } from "../../src/peer/PeerClient.ts"
import type { PeerFailed } from "../../src/peer/PeerError.ts"
import { Replicator } from "../../src/replicator/Replicator.ts"
import type { ReplicatorStatus } from "../../src/replicator/Replicator.ts"
import { Ring, type RingSnapshot } from "../../src/ring/Ring.ts"
import { Snapshots } from "../../src/storage/Snapshots.ts"
import { Storage, type StorageStats } from "../../src/storage/Storage.ts"

export const node1 = NodeId.make("node1")
export const node2 = NodeId.make("node2")
export const node3 = NodeId.make("node3")
export const incarnation = Incarnation.make("9f86d081884c")
export const version = (counter: number): Version => ({ counter, nodeId: node1, incarnation })

export const member = (nodeId: NodeId, liveness: Liveness): Member => ({
  record: {
    nodeId,
    incarnation,
    generation: 1,
    heartbeat: 7,
    address: `127.0.0.1:808${nodeId.slice(-1)}`,
    vnodes: 100,
    state: "up",
    counter: 40 + Number(nodeId.slice(-1))
  },
  liveness,
  heardAtMillis: 1000
})

export const settings: ClusterSettings = { ...clusterDefaults, partitions: 4 }

export const ring: RingSnapshot = {
  epoch: 3,
  nodes: [node1, node2, node3],
  preferenceLists: [[node1, node2, node3], [node2, node3, node1], [node3, node1, node2], [node1, node3, node2]]
}

export const storageStats: StorageStats = {
  memtableBytes: 1000,
  memtableCells: 10,
  tables: 2,
  tableBytes: 5000,
  logBytes: 2000,
  flushes: 3,
  compactions: 1,
  syncs: 9,
  equalVersionConflicts: 0,
  refusing: undefined,
  damage: undefined,
  levels: [],
  cacheBytes: 0,
  bytesFlushed: 0,
  bytesCompacted: 0,
  holes: [],
  scrub: {
    bytesPerSecond: 4_194_304,
    running: true,
    bytesDone: 700,
    bytesTotal: 5000,
    passes: 2,
    lastPassEndedAtMillis: 1_700_000_000_000,
    damaged: 0
  }
}

export const replicatorStatus: ReplicatorStatus = {
  recovering: false,
  hints: [{ peer: node2, pending: 5, pendingBytes: 600, dropped: 1, delivered: 2 }],
  comparisons: [{ peer: node3, state: "failed", differing: 1, received: 2, sent: 3, failure: "unreachable" }],
  readRepairs: 4,
  lostRanges: { state: "idle", reason: undefined, rangesFilled: 6, cellsGivenBack: 7 }
}

/** The answers of the fakes, changed by a test while the server runs, and the requests that reached them. */
export class Cluster {
  readonly cells = new Map<string, Cell>()
  readonly writes: Array<{ readonly key: string; readonly options: WriteOptions | undefined }> = []
  readonly reads: Array<{ readonly key: string; readonly options: ReadOptions | undefined }> = []
  counter = 0
  acks = 2
  writeFailure: WriteQuorumNotReached | undefined
  readFailure: ReadQuorumNotReached | undefined
  /** The replicator's answers to batches of peers. */
  receive: Replicator["Service"]["receive"] = () => Effect.die("not used here")
  answer: Replicator["Service"]["answer"] = () => Effect.die("not used here")
  /** Runs before each operation: wait, die, or be interrupted in it. */
  before: Effect.Effect<void> = Effect.void
  members: ReadonlyArray<Member> = [member(node1, "up"), member(node2, "up"), member(node3, "up")]
  ring = ring
  storageStats = storageStats
  snapshots: Snapshots["Service"] = {
    take: () => Effect.die("not used here"),
    list: Effect.die("not used here"),
    remove: () => Effect.die("not used here")
  }
  replicatorStatus = replicatorStatus
  digests: Digests = { digests: [], isDamaged: false }
  vouch: Effect.Effect<void, PeerFailed> = Effect.void

  apply(key: Key, value: Value | undefined) {
    const before = this.cells.get(key)
    const cell = { key, version: version(++this.counter), value }
    this.cells.set(key, cell)
    return { version: cell.version, acks: this.acks, replicas: 3, replaced: before?.value !== undefined }
  }

  private write(key: Key, value: Value | undefined, options: WriteOptions | undefined) {
    return Effect.flatMap(this.before, () => {
      this.writes.push({ key, options })
      return this.writeFailure ? Effect.fail(this.writeFailure) : Effect.sync(() => this.apply(key, value))
    })
  }

  private memberOf(nodeId: NodeId) {
    return this.members.find(({ record }) => record.nodeId === nodeId)
  }

  /** Methods that no handler calls are left out, and die when called. */
  readonly layer = Layer.mergeAll(
    Layer.fresh(Metrics.layer),
    Layer.mock(Coordinator, {
      put: (key, value, options) => this.write(key, value, options),
      delete: (key, options) => this.write(key, undefined, options),
      get: (key, options) =>
        Effect.flatMap(this.before, () => {
          this.reads.push({ key, options })
          return this.readFailure
            ? Effect.fail(this.readFailure)
            : Effect.succeed({ cell: this.cells.get(key), answers: 2, replicas: 3 })
        })
    }),
    Layer.mock(Gossip, {
      self: node1,
      members: () => this.members,
      liveness: (nodeId) => this.memberOf(nodeId)?.liveness ?? "down",
      address: (nodeId) => this.memberOf(nodeId)?.record.address
    }),
    Layer.mock(Ring, {
      current: () => this.ring,
      partitionOf: () => 0,
      preferenceList: () => this.ring.preferenceLists[0]!
    }),
    Layer.mock(Storage, { stats: Effect.sync(() => this.storageStats), salvaged: false }),
    Layer.mock(Snapshots, {
      take: (name) => this.snapshots.take(name),
      list: Effect.suspend(() => this.snapshots.list),
      remove: (name) => this.snapshots.remove(name)
    }),
    Layer.mock(Replicator, {
      hint: () => {},
      receive: (cells) => this.receive(cells),
      answer: (requests) => this.answer(requests),
      status: Effect.sync(() => this.replicatorStatus)
    }),
    Layer.mock(Holdings, {
      digests: Effect.sync(() => this.digests),
      versions: () => Stream.empty,
      vouch: () => this.vouch
    })
  )
}

export const configLayer = (node: Partial<NodeSettings> = {}) =>
  Layer.mergeAll(
    ClusterConfig.layerTest({ partitions: settings.partitions }),
    NodeConfig.layerTest({ ...nodeDefaults, listen: "127.0.0.1:0", clusterSecret: Redacted.make("secret"), ...node })
  )
