/**
 * A whole cluster in one process: the production Layers of every node over memory disks and a memory network, on the
 * test's clock. Messages go through the real encoding.
 */
import { Context, Effect, Exit, Layer, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { ClusterConfig, type ClusterSettings } from "../../src/config/ClusterConfig.ts"
import { NodeConfig, type NodeSettings } from "../../src/config/NodeConfig.ts"
import { Coordinator } from "../../src/coordinator/Coordinator.ts"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import { Key } from "../../src/domain/Key.ts"
import { NodeId } from "../../src/domain/NodeId.ts"
import { Gossip } from "../../src/gossip/Gossip.ts"
import * as Node from "../../src/Node.ts"
import { PeerClient } from "../../src/peer/PeerClient.ts"
import * as PeerCodec from "../../src/peer/PeerCodec.ts"
import { PeerFailed } from "../../src/peer/PeerError.ts"
import { Replicator } from "../../src/replicator/Replicator.ts"
import { Ring } from "../../src/ring/Ring.ts"
import { Storage } from "../../src/storage/Storage.ts"

type Services = Coordinator | Gossip | Replicator | Ring | Storage

export interface MemoryNode {
  readonly id: NodeId
  readonly address: string
  disk: DiskMemory.DiskMemory
  running: { readonly services: Context.Context<Services>; readonly scope: Scope.Closeable } | undefined
}

export interface MemoryCluster {
  readonly nodes: ReadonlyArray<MemoryNode>
  readonly start: (node: MemoryNode) => Effect.Effect<void>
  /** As `kill -9` with a power cut: nothing that was not synced survives. */
  readonly crash: (node: MemoryNode) => Effect.Effect<void>
  /** A crash after which the node comes back with an empty disk. */
  readonly loseDisk: (node: MemoryNode) => Effect.Effect<void>
  /** Drops everything between two nodes, silently. */
  readonly cut: (left: MemoryNode, right: MemoryNode) => void
  readonly heal: () => void
  /** Messages from now on take up to so many milliseconds, drawn from the seed. */
  readonly setDelayMillisMax: (millis: number) => void
  /** Lets virtual time pass until the condition holds. */
  readonly until: <E>(condition: Effect.Effect<boolean, E>, what: string) => Effect.Effect<void>
}

export const value = (text: string) => ({ bytes: Buffer.from(text), contentType: "text/plain" })
export const key = (text: string) => Key.make(text)

/** All of a node's own cells, tombstones included, as `key=value` lines. */
export const contents = (node: MemoryNode) =>
  Effect.map(
    Stream.runCollect(storage(node).scan()),
    (cells) =>
      cells.map(({ key, value, version }) =>
        `${key}=${
          value === undefined ? "(deleted)" : Buffer.from(value.bytes).toString()
        } ${version.counter}-${version.nodeId}`
      )
  )

export const coordinator = (node: MemoryNode) => Context.get(node.running!.services, Coordinator)
export const storage = (node: MemoryNode) => Context.get(node.running!.services, Storage)
export const gossip = (node: MemoryNode) => Context.get(node.running!.services, Gossip)
export const replicator = (node: MemoryNode) => Context.get(node.running!.services, Replicator)
export const ring = (node: MemoryNode) => Context.get(node.running!.services, Ring)

export const make = Effect.fnUntraced(function*(options: {
  readonly size: number
  readonly seed: number
  readonly settings?: Partial<NodeSettings>
  readonly clusterSettings?: Partial<ClusterSettings>
}) {
  const { seed, size } = options
  const testScope = yield* Effect.scope
  const cuts = new Set<string>()
  let delayMillisMax = 0
  let state = seed | 1
  const draw = (below: number) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
  const nodes: ReadonlyArray<MemoryNode> = Array.from({ length: size }, (_, index) => ({
    id: NodeId.make(`node${index + 1}`),
    address: `10.0.0.${index + 1}:8080`,
    disk: DiskMemory.make(seed + index),
    running: undefined
  }))

  /** The target's services, once the message has arrived; never when the link is cut. */
  const reach = (from: MemoryNode, address: string) =>
    Effect.suspend((): Effect.Effect<Context.Context<Services>, PeerFailed> => {
      const to = nodes.find((node) => node.address === address)
      if (to === undefined || cuts.has(link(from, to))) return Effect.never
      if (to.running === undefined) {
        return Effect.fail(new PeerFailed({ peer: to.id, reason: "unreachable", detail: "connection refused" }))
      }
      return Effect.succeed(to.running.services)
    }).pipe(
      Effect.tap(() => (delayMillisMax === 0 ? Effect.void : Effect.sleep(draw(delayMillisMax))))
    )

  const call = <A, B>(
    from: MemoryNode,
    address: string,
    run: (services: Context.Context<Services>) => Effect.Effect<A, { readonly message: string }>,
    decode: (answer: A) => B | undefined
  ): Effect.Effect<B, PeerFailed> =>
    reach(from, address).pipe(
      Effect.flatMap((services) => Effect.mapError(run(services), (error) => failureOf(address, error))),
      // The answer travels back over the same link.
      Effect.tap(() => reach(from, address)),
      Effect.flatMap((answer) => {
        const decoded = decode(answer)
        return decoded === undefined
          ? Effect.fail(new PeerFailed({ peer: address, reason: "bad-answer", detail: "undecodable" }))
          : Effect.succeed(decoded)
      })
    )

  const peerClient = (from: MemoryNode): PeerClient["Service"] => ({
    write: (address, cells) => {
      const body = PeerCodec.encodeWrites(cells)
      return call(
        from,
        address,
        (services) =>
          Effect.map(
            Context.get(services, Replicator).receive(PeerCodec.decodeWrites(body)!),
            PeerCodec.encodeWriteAnswers
          ),
        PeerCodec.decodeWriteAnswers
      )
    },
    read: (address, requests) => {
      const body = PeerCodec.encodeReads(requests)
      return call(
        from,
        address,
        (services) =>
          Effect.map(
            Context.get(services, Replicator).answer(PeerCodec.decodeReads(body)!),
            PeerCodec.encodeReadAnswers
          ),
        (bytes) => PeerCodec.decodeReadAnswers(bytes, requests)
      )
    },
    gossip: (address, message) =>
      call(from, address, (services) => Context.get(services, Gossip).receive(message), (reply) => reply),
    probe: (address, target) =>
      call(from, address, (services) => Context.get(services, Gossip).probe(target), (reached) => reached),
    digests: (address) =>
      call(from, address, (services) => Context.get(services, Replicator).digests, (found) => found),
    versions: (address, partitions, range) => stream(from, address, (services) => services.versions(partitions, range)),
    cells: (address, keys) => stream(from, address, (services) => services.cells(keys))
  })

  const stream = <A, E extends { readonly message: string }>(
    from: MemoryNode,
    address: string,
    run: (services: Replicator["Service"]) => Stream.Stream<A, E>
  ): Stream.Stream<A, PeerFailed> =>
    Stream.unwrap(
      Effect.map(reach(from, address), (services) =>
        Stream.mapError(run(Context.get(services, Replicator)), (error) => failureOf(address, error)))
    )

  const start = (node: MemoryNode): Effect.Effect<void> =>
    Effect.gen(function*() {
      const scope = yield* Scope.fork(testScope)
      const leaves = Layer.mergeAll(
        node.disk.layer,
        Layer.succeed(PeerClient, peerClient(node)),
        ClusterConfig.layerTest(options.clusterSettings),
        NodeConfig.layerTest({
          nodeId: node.id,
          address: node.address,
          listen: node.address,
          seeds: nodes.map(({ address }) => address),
          dataDirectory: "data",
          ...options.settings
        })
      )
      // Each node gets Layers of its own; a shared memo map would hand every node the first one's services.
      const memoMap = yield* Layer.makeMemoMap
      const services = yield* Effect.orDie(
        Layer.buildWithMemoMap(Node.layer.pipe(Layer.provide(leaves)), memoMap, scope)
      )
      node.running = { services, scope }
    })

  const crash = (node: MemoryNode) =>
    Effect.suspend(() => {
      const running = node.running
      if (running === undefined) return Effect.void
      node.running = undefined
      node.disk.powerOff()
      return Effect.map(Scope.close(running.scope, Exit.void), () => node.disk.powerOn())
    })

  const cluster: MemoryCluster = {
    nodes,
    start,
    crash,
    loseDisk: (node) =>
      Effect.map(crash(node), () => {
        node.disk = DiskMemory.make(seed + 100 + nodes.indexOf(node))
      }),
    cut: (left, right) => {
      cuts.add(link(left, right))
    },
    heal: () => cuts.clear(),
    setDelayMillisMax: (millis) => {
      delayMillisMax = millis
    },
    until: (condition, what) =>
      Effect.gen(function*() {
        for (let step = 0; step < 1200; step++) {
          if (yield* Effect.orDie(condition)) return
          yield* TestClock.adjust("100 millis")
        }
        return yield* Effect.die(`seed ${seed}: after two virtual minutes still not: ${what}`)
      })
  }
  yield* Effect.forEach(nodes, start, { discard: true })
  yield* cluster.until(Effect.suspend(() => allReady(nodes)), "every node knows every other and answers reads")
  return cluster
})

/** Runs an operation while virtual time passes, since it may wait for timeouts. */
export const passing = <A, E, R>(operation: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(operation)
    while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("10 millis")
    return yield* Effect.flatten(Effect.sync(() => fiber.pollUnsafe()!))
  })

const allReady = (nodes: ReadonlyArray<MemoryNode>) =>
  Effect.map(
    Effect.forEach(nodes.filter((node) => node.running !== undefined), (node) => replicator(node).status),
    (all) =>
      all.every(({ recovering }) => !recovering) &&
      nodes.every((node) => node.running === undefined || ring(node).current().nodes.length === nodes.length)
  )

const link = (left: MemoryNode, right: MemoryNode) => [left.id, right.id].toSorted().join("|")

const failureOf = (peer: string, error: { readonly message: string }) =>
  error instanceof PeerFailed ? error : new PeerFailed({ peer, reason: "storage", detail: error.message })
