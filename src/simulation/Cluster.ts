/**
 * N nodes, each the production Layers in a process of its own, over the simulated network and disks; and the handles by
 * which faults get at them.
 */
import { Cause, Context, Effect, Exit, type Fiber, Layer, Logger, Metric, References, Scope } from "effect"
import { ClusterConfig } from "../config/ClusterConfig.ts"
import { NodeConfig, type NodeSettings } from "../config/NodeConfig.ts"
import type { Coordinator } from "../coordinator/Coordinator.ts"
import { Disk } from "../disk/Disk.ts"
import * as DiskMemory from "../disk/DiskMemory.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import type { Key } from "../domain/Key.ts"
import { NodeId } from "../domain/NodeId.ts"
import type { SeededRandom } from "../domain/SeededRandom.ts"
import * as Version from "../domain/Version.ts"
import type { Gossip } from "../gossip/Gossip.ts"
import * as Node from "../Node.ts"
import { PeerClient } from "../peer/PeerClient.ts"
import { Replicator } from "../replicator/Replicator.ts"
import type { Ring } from "../ring/Ring.ts"
import { Storage } from "../storage/Storage.ts"
import type { Forgotten, ForgottenHints } from "./History.ts"
import { type Host, Network } from "./Network.ts"
import * as peerMessages from "./peerMessages.ts"
import * as SimulatedDisk from "./SimulatedDisk.ts"
import { Process, type World } from "./World.ts"

export type Services = Coordinator | Gossip | Replicator | Ring | Storage

export interface SimulatedNode {
  readonly id: NodeId
  readonly host: Host
  readonly diskSpeed: SimulatedDisk.Speed
  memory: DiskMemory.DiskMemory
  process: Process | undefined
  /** Once its Layers are built. */
  services: Context.Context<Services> | undefined
  machineIsUp: boolean
  /** Its clock is a property of the machine: it survives a restart. */
  clockOffsetMillis: number
  slowness: number
  /** A byte of a closed file was flipped: what it holds may be unreadable until it is repaired. */
  isDamaged: boolean
  /** Its disk takes no more bytes. */
  isFull: boolean
  /** The newest version of each key that it told a peer it had taken. */
  promised: Map<Key, Version.Version>
}

export interface Alarm {
  readonly node: string
  readonly atMillis: number
  readonly text: string
}

const remember = (node: SimulatedNode, cells: ReadonlyArray<Cell>): void => {
  for (const { key, version } of cells) {
    const before = node.promised.get(key)
    if (before === undefined || Version.compare(version, before) > 0) node.promised.set(key, version)
  }
}

/** Whole lines by peer. */
const hintsOnDisk = (memory: DiskMemory.DiskMemory): ReadonlyMap<string, number> => {
  const found = new Map<string, number>()
  for (const [path, bytes] of memory.files()) {
    const peer = /^data\/hints\/([^/]+)\/.*\.ndjson$/.exec(path)?.[1]
    if (peer === undefined) continue
    const lines = bytes.toString("latin1").split("\n").slice(0, -1)
    // A page that never reached the device reads as zeros. The first line says the format.
    const whole = lines.filter((line) => !line.includes("\0") && line.includes(`"key"`)).length
    found.set(peer, (found.get(peer) ?? 0) + whole)
  }
  return found
}

/** Errors in the log that not even a bad disk explains. */
const alarming = /a node broke the rules|ended by a defect|gossip with .* refused/

export class Cluster {
  readonly nodes: ReadonlyArray<SimulatedNode>
  readonly network: Network
  readonly alarms: Array<Alarm> = []
  readonly forgotten: Array<Forgotten> = []
  readonly forgottenHints: Array<ForgottenHints> = []
  /** Where clients live, and messages on their way. */
  readonly outside: Process
  private readonly world: World
  private readonly random: SeededRandom
  private readonly settings: Partial<NodeSettings>
  private lives = 0

  constructor(world: World, random: SeededRandom, size: number, settings: Partial<NodeSettings>) {
    this.world = world
    this.random = random
    this.settings = settings
    this.outside = new Process(world, "outside", random.fork("outside"), Context.empty())
    this.network = new Network(world, this.outside, random.fork("network"))
    this.nodes = Array.from({ length: size }, (_, index) => this.make(index))
    for (const { host } of this.nodes) this.network.add(host)
  }

  /** Starts its process; `undefined` in `services` until its Layers are built. Fails with what the node printed. */
  start(node: SimulatedNode, onExit: (failure: string | undefined) => void): void {
    const life = ++this.lives
    const process = new Process(
      this.world,
      node.id,
      this.random.fork(`${node.id} ${life}`),
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
    this.world.trace(`${node.id} starts`)
    const hints = hintsOnDisk(node.memory)
    this.world.post(process, () => {
      process.run(this.build(node), Context.empty(), (exit) => {
        if (Exit.isFailure(exit)) return onExit(Cause.pretty(exit.cause))
        node.services = exit.value
        this.world.trace(`${node.id} is built`)
        if (!node.isDamaged) this.checkMemory(node, process, exit.value)
        this.checkHints(node, process, exit.value, hints)
        onExit(undefined)
      })
    })
  }

  /** `kill -9` after some further steps, or, with `power`, the machine itself: what was not synced is lost. */
  crash(node: SimulatedNode, steps: number, power: boolean): void {
    node.process?.killAfter(steps, () => {
      this.world.trace(`${node.id} ${power ? "loses power" : "is killed"}`)
      node.process = undefined
      node.services = undefined
      node.machineIsUp = !power
      if (power) {
        node.memory.powerOff()
        node.memory.powerOn()
      } else node.memory.release()
      this.network.died(node.id, !power)
    })
  }

  /** An empty disk in the place of the old one. The node must be down. */
  replaceDisk(node: SimulatedNode): void {
    node.memory = DiskMemory.make(this.random.fork(`${node.id} disk ${++this.lives}`).below(2 ** 31))
    node.isDamaged = false
    node.promised = new Map()
    node.memory.setFull(node.isFull)
  }

  /** Before repair hides it: does the node hold what it had taken before? */
  private checkMemory(node: SimulatedNode, process: Process, services: Context.Context<Services>): void {
    for (const [key, promised] of node.promised) {
      process.run(Context.get(services, Storage).version(key), Context.empty(), (exit) => {
        if (Exit.isFailure(exit)) {
          return this.alarm(node, `cannot read ${key} at its start: ${Cause.pretty(exit.cause)}`)
        }
        const held = exit.value
        if (held !== undefined && Version.compare(held, promised) >= 0) return
        this.forgotten.push({ node: node.id, key, promised, held, atMillis: this.world.now() })
      })
    }
  }

  private checkHints(
    node: SimulatedNode,
    process: Process,
    services: Context.Context<Services>,
    onDisk: ReadonlyMap<string, number>
  ): void {
    process.run(Context.get(services, Replicator).status, Context.empty(), (exit) => {
      if (Exit.isFailure(exit)) return
      for (const [peer, lines] of onDisk) {
        const pending = exit.value.hints.find((status) => status.peer === peer)?.pending ?? 0
        if (pending >= lines) continue
        this.forgottenHints.push({ node: node.id, peer, onDisk: lines, pending, atMillis: this.world.now() })
      }
    })
  }

  private make(index: number): SimulatedNode {
    const id = NodeId.make(`node${index + 1}`)
    const address = `10.0.0.${index + 1}:8080`
    const node: SimulatedNode = {
      id,
      host: {
        name: id,
        address,
        process: () => node.process,
        machineIsUp: () => node.machineIsUp,
        serve: (kind, body, onExit): Fiber.Fiber<unknown, unknown> | undefined =>
          node.services === undefined
            ? undefined
            : node.process!.run(peerMessages.answer(node.services, id, kind, body), Context.empty(), (exit) => {
              if (kind === "write" && Exit.isSuccess(exit)) remember(node, peerMessages.taken(body, exit.value))
              onExit(exit)
            })
      },
      diskSpeed: { factor: 1 },
      memory: DiskMemory.make(this.random.fork(`${id} disk`).below(2 ** 31)),
      process: undefined,
      services: undefined,
      machineIsUp: true,
      clockOffsetMillis: 0,
      slowness: 1,
      isDamaged: false,
      isFull: false,
      promised: new Map()
    }
    return node
  }

  private build(node: SimulatedNode) {
    const random = this.random.fork(`${node.id} disk latency ${this.lives}`)
    const exchange: peerMessages.Exchange = (address, kind, body) =>
      this.network.exchange(node.host, address, kind, body)
    const leaves = Layer.mergeAll(
      Layer.succeed(Disk, SimulatedDisk.make(node.memory, random, node.diskSpeed)),
      Layer.succeed(PeerClient, peerMessages.client(exchange)),
      // Fewer than in production, since every ring and every digest is computed once a node, all on one processor.
      ClusterConfig.layerTest({ partitions: 128 }),
      NodeConfig.layerTest({
        nodeId: node.id,
        address: node.host.address,
        listen: node.host.address,
        seeds: this.nodes.map(({ host }) => host.address),
        dataDirectory: "data",
        vnodes: 16,
        ...this.settings
      })
    )
    return Effect.flatMap(Layer.makeMemoMap, (memoMap) =>
      // Never closed: a simulated process only ever dies.
      Layer.buildWithMemoMap(Node.layer.pipe(Layer.provide(leaves)), memoMap, Scope.makeUnsafe()))
  }

  private alarm(node: SimulatedNode, text: string): void {
    this.alarms.push({ node: node.id, atMillis: this.world.now(), text })
  }

  /** A fiber in the background that dies of a defect tells nobody else. */
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
      this.world.trace(`${node.id} logs ${text.slice(0, 200)}`)
      // On a healthy disk every error is news.
      if (alarming.test(text) || (!node.isDamaged && !node.isFull)) this.alarm(node, text)
    })
  }
}
