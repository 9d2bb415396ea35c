/** N nodes, each the production Layers in a process of its own, over the simulated network and disks. */
import { Cause, Context, Effect, Exit, Layer, Logger, Metric, References, Scope } from "effect"
import { ClusterConfig, type ClusterSettings } from "../config/ClusterConfig.ts"
import { NodeConfig, type NodeSettings } from "../config/NodeConfig.ts"
import { Disk } from "../disk/Disk.ts"
import * as DiskMemory from "../disk/DiskMemory.ts"
import * as Bytes from "../domain/bytes.ts"
import { NodeId } from "../domain/NodeId.ts"
import type { SeededRandom } from "../domain/SeededRandom.ts"
import * as Version from "../domain/Version.ts"
import * as Node from "../Node.ts"
import { PeerClient } from "../peer/PeerClient.ts"
import { Storage } from "../storage/Storage.ts"
import * as Follower from "./Follower.ts"
import type { Forgotten, ForgottenHints } from "./History.ts"
import { Network } from "./Network.ts"
import * as peerMessages from "./peerMessages.ts"
import * as SimulatedDisk from "./SimulatedDisk.ts"
import { type NodeOptions, type Services, SimulatedNode } from "./SimulatedNode.ts"
import { Process, type World } from "./World.ts"

type NodeLayer = Layer.Layer<
  Services,
  Layer.Error<typeof Node.layer>,
  Disk | PeerClient | ClusterConfig | NodeConfig
>

export interface ClusterOptions {
  /** How many nodes there are at first. */
  readonly nodes: number
  readonly settings?: Partial<NodeSettings>
  readonly clusterSettings?: Partial<ClusterSettings>
  /** The layers of a node, where a test needs less than all. */
  readonly layer?: NodeLayer
}

export interface Alarm {
  readonly node: string
  readonly atMillis: number
  readonly text: string
}

/** Whole lines by peer. */
const hintsOnDisk = (disk: DiskMemory.DiskMemory): ReadonlyMap<string, number> => {
  const found = new Map<string, number>()
  for (const [path, bytes] of disk.files()) {
    const peer = /^data\/hints\/([^/]+)\/.*\.ndjson$/.exec(path)?.[1]
    if (peer === undefined) continue
    const lines = Bytes.utf8(bytes).split("\n").slice(0, -1)
    // A page that never reached the device reads as zeros. The first line says the format.
    const whole = lines.filter((line) => !line.includes("\0") && line.includes(`"key"`)).length
    found.set(peer, (found.get(peer) ?? 0) + whole)
  }
  return found
}

/** Errors in the log that not even a bad disk explains. */
const alarming = /a node broke the rules|died of a defect|gossip with .* refused/

export class Cluster {
  readonly world: World
  readonly network: Network
  readonly alarms: Array<Alarm> = []
  readonly forgotten: Array<Forgotten> = []
  readonly forgottenHints: Array<ForgottenHints> = []
  /** Where clients live, and messages on their way. */
  readonly outside: Process
  private readonly members: Array<SimulatedNode> = []
  private readonly random: SeededRandom
  private readonly options: ClusterOptions
  private readonly seeds: ReadonlyArray<string>
  private lives = 0

  constructor(world: World, random: SeededRandom, options: ClusterOptions) {
    this.world = world
    this.random = random
    this.options = options
    this.outside = new Process(world, "outside", random.fork("outside"), Context.empty())
    this.network = new Network(world, this.outside, random.fork("network"))
    const places = Array.from({ length: options.nodes }, (_, place) => place + 1)
    this.seeds = places.map(addressOf)
    for (const place of places) this.add(place)
  }

  get nodes(): ReadonlyArray<SimulatedNode> {
    return this.members
  }

  /** One more machine, the `place`th, on which nothing runs yet. */
  add(place: number, options: Partial<NodeOptions> = {}): SimulatedNode {
    const id = NodeId.make(`node${place}`)
    const node = new SimulatedNode(this.world, {
      id,
      name: id,
      address: addressOf(place),
      disk: this.newDisk(`${id} disk`),
      settings: {},
      clusterSettings: {},
      ...options
    })
    this.members.push(node)
    this.network.add(node.host)
    return node
  }

  /** Starts its process. `services` is `undefined` until its Layers are built. The failure is the node's output. */
  boot(node: SimulatedNode, onExit: (failure: string | undefined) => void): void {
    const life = ++this.lives
    const process = new Process(
      this.world,
      node.name,
      this.random.fork(`${node.name} ${life}`),
      Context.empty().pipe(
        Context.add(Logger.CurrentLoggers, new Set([this.logger(node)])),
        Context.add(References.MinimumLogLevel, "Error"),
        Context.add(Metric.FiberRuntimeMetrics, this.watchFibers(node))
      )
    )
    process.clockOffsetMillis = node.clockOffsetMillis
    process.slowness = node.slowness
    node.process = process
    node.services = undefined
    node.machineIsUp = true
    this.world.trace(`${node.name} starts`)
    const hints = hintsOnDisk(node.disk)
    this.world.post(process, () => {
      process.run(this.build(node), Context.empty(), (exit) => {
        if (Exit.isFailure(exit)) return onExit(Cause.pretty(exit.cause))
        node.services = exit.value
        this.world.trace(`${node.name} is built`)
        if (!node.isDamaged) this.checkMemory(node)
        if (hints.size > 0) this.checkHints(node, hints)
        onExit(undefined)
      })
    })
  }

  /** `kill -9` after some further steps; with `power` the machine dies, and loses writes that were not synced. */
  crash(node: SimulatedNode, steps: number, power: boolean): void {
    const die = () => {
      this.world.trace(`${node.name} ${power ? "loses power" : "is killed"}`)
      node.process = undefined
      node.services = undefined
      node.machineIsUp = !power
      if (power) {
        node.disk.powerOff()
        node.disk.powerOn()
      } else node.disk.release()
      this.network.died(node.name, !power)
    }
    if (node.process !== undefined) node.process.killAfter(steps, die)
    else if (power && node.machineIsUp) die()
  }

  /** An empty disk in the place of the old one. The node must be down. */
  replaceDisk(node: SimulatedNode): void {
    node.replaceDisk(this.newDisk(`${node.name} disk ${++this.lives}`))
  }

  /** Whether it knows every node and has recovered. */
  isReady(node: SimulatedNode): boolean {
    const status = node.services && node.ask(node.replicator.status)
    return status !== undefined && !status.recovering && node.ring.current().nodes.length === this.nodes.length
  }

  /** Raises an alarm when a follower of a store by its feed does not have what the store holds. */
  checkFeeds(): void {
    for (const node of this.members) {
      const exit = node.services && node.follower && node.attempt(node.follower.check, feedMillisMax)
      if (exit === undefined) continue
      const problem = Exit.isSuccess(exit) ? exit.value : Cause.pretty(exit.cause)
      if (problem !== undefined) this.alarm(node, `its feed is wrong: ${problem}`)
    }
  }

  private newDisk(label: string): DiskMemory.DiskMemory {
    return DiskMemory.make(this.random.fork(label).below(2 ** 31))
  }

  /** Before repair hides it: does the node still hold every cell that it had accepted? */
  private checkMemory(node: SimulatedNode): void {
    for (const [key, promised] of node.promised) {
      node.process!.run(node.storage.version(key), Context.empty(), (exit) => {
        if (Exit.isFailure(exit)) {
          return this.alarm(node, `cannot read ${key} at its start: ${Cause.pretty(exit.cause)}`)
        }
        const held = exit.value
        if (held !== undefined && Version.compare(held, promised) >= 0) return
        this.forgotten.push({ node: node.name, key, promised, held, atMillis: this.world.now() })
      })
    }
  }

  private checkHints(node: SimulatedNode, onDisk: ReadonlyMap<string, number>): void {
    const hints = node.ask(node.replicator.status)?.hints ?? []
    for (const [peer, lines] of onDisk) {
      const pending = hints.find((status) => status.peer === peer)?.pending ?? 0
      if (pending >= lines) continue
      this.forgottenHints.push({ node: node.name, peer, onDisk: lines, pending, atMillis: this.world.now() })
    }
  }

  private build(node: SimulatedNode) {
    node.disk.setLatency(
      SimulatedDisk.latency(this.random.fork(`${node.name} disk latency ${this.lives}`), node.diskSpeed)
    )
    const exchange: peerMessages.Exchange = (address, kind, body) =>
      this.network.exchange(node.host, address, kind, body)
    const leaves = Layer.mergeAll(
      Layer.succeed(Disk, node.disk.disk),
      Layer.succeed(PeerClient, peerMessages.client(exchange)),
      // Fewer than in production, since every ring and every digest is computed once a node, all on one processor.
      ClusterConfig.layerTest({ partitions: 128, ...this.options.clusterSettings, ...node.clusterSettings }),
      NodeConfig.layerTest({
        nodeId: node.id,
        address: node.address,
        listen: node.address,
        seeds: this.seeds,
        dataDirectory: "data",
        vnodes: 16,
        ...this.options.settings,
        ...node.settings
      })
    )
    const layer: NodeLayer = this.options.layer ?? Node.layerOver(watched(node))
    return Effect.flatMap(Layer.makeMemoMap, (memoMap) =>
      // Never closed: a simulated process only ever dies.
      Layer.buildWithMemoMap(layer.pipe(Layer.provide(leaves)), memoMap, Scope.makeUnsafe()))
  }

  private alarm(node: SimulatedNode, text: string): void {
    this.alarms.push({ node: node.name, atMillis: this.world.now(), text })
  }

  /** Nothing else reports a fiber in the background that died of a defect. */
  private watchFibers(node: SimulatedNode): Metric.FiberRuntimeMetricsService {
    return {
      recordFiberStart: () => {},
      recordFiberEnd: (_, exit) => {
        if (Exit.isSuccess(exit)) return
        const defect = exit.cause.reasons.find(Cause.isDieReason)?.defect
        // A symbol is how a stream of Effect's ends itself at its timeout.
        if (defect !== undefined && typeof defect !== "symbol") {
          this.alarm(node, `a fiber died: ${Cause.pretty(exit.cause)}`)
        }
      }
    }
  }

  private logger(node: SimulatedNode) {
    return Logger.make(({ cause, message }) => {
      const text = `${String(message)}${cause.reasons.length === 0 ? "" : ` ${Cause.pretty(cause)}`}`
      // Without its stack, which differs from host to host.
      this.world.trace(`${node.name} logs ${text.split("\n", 1)[0]!.slice(0, 200)}`)
      // On a healthy disk every error is news.
      if (alarming.test(text) || (!node.isDamaged && !node.isFull)) this.alarm(node, text)
    })
  }
}

/** Reading a whole store takes less. */
const feedMillisMax = 60_000

const addressOf = (place: number): string => `10.0.0.${place}:8080`

/** Its store, with a follower of its feed, and a record of the cells that it accepts, which must survive a crash. */
const watched = (node: SimulatedNode): typeof Storage.layer =>
  Layer.effect(
    Storage,
    Effect.gen(function*() {
      const storage = yield* Storage
      node.follower = yield* Follower.start(storage)
      yield* Effect.forkScoped(node.follower.run)
      return {
        ...storage,
        apply: (cells, options) =>
          Effect.tap(storage.apply(cells, options), (answers) =>
            Effect.sync(() => {
              answers.forEach(({ _tag }, index) => {
                if (_tag === "Accepted") node.remember(cells[index]!)
              })
            }))
      }
    })
  ).pipe(Layer.provide(Storage.layer))
