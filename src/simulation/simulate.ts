/**
 * One run: a cluster, its faults and its clients from one seed, then peace, then the verdict.
 *
 * 1. The nodes start and find each other.
 * 2. Clients work while the schedule's faults happen.
 * 3. Faults end, all nodes start, and replicas must agree within the bound without any client's help, also those whose
 *    tables rotted.
 * 4. Every key is read by quorum.
 * 5. The whole cluster loses power and starts again: the final state is what the disks hold then.
 */
import { Duration, Exit, Stream } from "effect"
import type { NodeSettings } from "../config/NodeConfig.ts"
import * as Bytes from "../domain/bytes.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import type { Key } from "../domain/Key.ts"
import * as SeededRandom from "../domain/SeededRandom.ts"
import * as Version from "../domain/Version.ts"
import { Cluster } from "./Cluster.ts"
import * as faults from "./faults.ts"
import type { FinalCell, Run } from "./History.ts"
import type { Counts } from "./Network.ts"
import * as repairs from "./repairs.ts"
import * as Schedule from "./Schedule.ts"
import type { SimulatedNode } from "./SimulatedNode.ts"
import * as Workload from "./Workload.ts"
import { World } from "./World.ts"

export interface Options {
  readonly seed: number
  readonly nodes: number
  /** Virtual minutes in which clients work and faults begin. */
  readonly minutes: number
  readonly kinds: ReadonlyArray<Schedule.FaultKind>
  /** Places in the drawn schedule of the faults to keep; all when left out. */
  readonly keep?: ReadonlyArray<number> | undefined
  /** Takes each line of the trace. */
  readonly sink?: ((line: string) => void) | undefined
}

export interface Result {
  readonly run: Run
  readonly schedule: ReadonlyArray<Schedule.Fault>
  readonly traceHash: string
  readonly figures: Figures
  /** Why the run did not reach its end, such as a node that did not start; a violation of its own. */
  readonly stuck: string | undefined
}

export interface Figures {
  readonly virtualMillis: number
  readonly events: number
  readonly operations: number
  readonly acknowledged: number
  readonly messages: Counts
  readonly faults: Readonly<Record<string, number>>
  /** Ranges of keys that rotted and were made whole. */
  readonly holesClosed: number
  readonly convergedAfterMillis: number | undefined
}

const minute = 60_000
const startMillisMax = 2 * minute
/** Two comparisons with every peer, and the time in which a peer is found again. */
const convergenceBoundMillis = 3 * minute
const lookEveryMillis = 1000

export const simulate = (options: Options): Result => new Simulation(options).run()

class Simulation {
  private readonly options: Options
  private readonly random: SeededRandom.SeededRandom
  private readonly world: World
  private readonly cluster: Cluster
  /** All faults of the seed, and those of them that happen. */
  private readonly drawn: ReadonlyArray<Schedule.Fault>
  private readonly schedule: ReadonlyArray<Schedule.Fault>
  private stuck: string | undefined

  constructor(options: Options) {
    this.options = options
    this.random = SeededRandom.make(options.seed)
    this.world = new World(options.sink)
    this.drawn = Schedule.draw(this.random.fork("schedule"), {
      nodes: options.nodes,
      forMillis: options.minutes * minute,
      kinds: options.kinds
    })
    this.schedule = options.keep?.flatMap((place) => this.drawn[place] ?? []) ?? this.drawn
    this.cluster = new Cluster(this.world, this.random.fork("cluster"), {
      nodes: options.nodes,
      settings: drawSettings(this.random, this.drawn.some(({ kind }) => takesPower.has(kind)))
    })
  }

  run(): Result {
    const { cluster, options, random, world } = this
    for (const node of cluster.nodes) this.start(node, () => {})
    this.waitFor(() => this.allReady(), startMillisMax, "every node starts and knows the others")
    const workload = new Workload.Workload(
      world,
      cluster,
      random.fork("workload"),
      Workload.drawOptions(random.fork("workload options"), world.now() + options.minutes * minute)
    )
    const repaired = repairs.watch({ world, cluster, operations: workload.operations })
    const trouble = faults.begin({
      world,
      cluster,
      schedule: this.schedule,
      restart: (node, whenReady) => this.start(node, whenReady)
    })
    this.waitFor(() => workload.isDone(), (options.minutes + 1) * minute, "every client ends")
    trouble.endAll()
    cluster.network.heal()
    const peaceAt = world.now()
    this.waitFor(() => this.allReady(), startMillisMax, "every node is back after the faults")
    const convergedAfterMillis = this.converge(workload.keys(), peaceAt)
    let readAll = false
    workload.readAll(() => {
      readAll = true
    })
    this.waitFor(() => readAll, minute, "every key is read")
    cluster.checkFeeds()
    this.powerCycle()
    this.converge(workload.keys(), world.now())
    for (const node of cluster.nodes) {
      if (!this.isWhole(node)) this.stuck ??= `${node.id} still has damage in the end`
    }
    const cells = this.finalCells()
    return {
      schedule: this.drawn,
      traceHash: world.traceHash(),
      stuck: this.stuck,
      figures: {
        virtualMillis: world.now(),
        events: world.events,
        operations: workload.operations.length,
        acknowledged: workload.operations.filter(({ outcome }) => outcome?._tag === "Ok").length,
        messages: cluster.network.counts,
        faults: trouble.injected,
        holesClosed: repaired.closed(),
        convergedAfterMillis
      },
      run: {
        seed: options.seed,
        replicationFactor: 3,
        operations: workload.operations,
        disturbances: trouble.disturbances,
        alarms: cluster.alarms,
        forgotten: cluster.forgotten,
        forgottenHints: cluster.forgottenHints,
        requestTimeoutMillis: 5000,
        final: {
          cells,
          replicasOf: (key) => this.replicasOf(key as Key).map(({ id }) => id),
          convergedAfterMillis,
          convergenceBoundMillis
        }
      }
    }
  }

  private start(node: SimulatedNode, whenReady: () => void): void {
    if (node.process !== undefined) return whenReady()
    this.cluster.boot(node, (failure) => {
      if (failure === undefined) return this.awaitReady(node, whenReady)
      // The log rotted: an operator puts in an empty disk.
      if (node.isDamaged) return this.startAgain(node, 0, () => this.cluster.replaceDisk(node), whenReady)
      // A supervisor starts a process again.
      if (node.isFull) return this.startAgain(node, 1000, () => {}, whenReady)
      this.stuck ??= `${node.id} does not start: ${failure}`
    })
  }

  private startAgain(node: SimulatedNode, afterMillis: number, before: () => void, whenReady: () => void): void {
    this.world.after(this.cluster.outside, afterMillis, () => {
      this.cluster.crash(node, 0, false)
      before()
      this.start(node, whenReady)
    })
  }

  /** It may die meanwhile, and be started at the end of another fault. */
  private awaitReady(node: SimulatedNode, whenReady: () => void): void {
    if (this.cluster.isReady(node)) return whenReady()
    this.world.after(this.cluster.outside, 200, () => this.awaitReady(node, whenReady))
  }

  private allReady(): boolean {
    return this.cluster.nodes.every((node) => this.cluster.isReady(node))
  }

  private waitFor(condition: () => boolean, millisMax: number, what: string): void {
    const until = this.world.now() + millisMax
    while (this.stuck === undefined && !condition()) {
      if (this.world.now() >= until) {
        this.stuck = `not within ${millisMax / 1000} s: ${what}`
        return
      }
      this.world.runUntil(() => false, this.world.now() + 50)
    }
  }

  private converge(keys: ReadonlyArray<Key>, peaceAt: number): number | undefined {
    const until = peaceAt + convergenceBoundMillis
    while (this.stuck === undefined && this.world.now() <= until) {
      if (
        this.hintsDelivered() && this.cluster.nodes.every((node) => this.isWhole(node)) &&
        keys.every((key) => this.agrees(key))
      ) return this.world.now() - peaceAt
      this.world.runUntil(() => false, this.world.now() + lookEveryMillis)
    }
    return undefined
  }

  /** A hint on its way is a newer version that no replica may hold yet. */
  private hintsDelivered(): boolean {
    return this.cluster.nodes.every((node) =>
      node.services && node.ask(node.replicator.status)?.hints.every(({ pending }) => pending === 0)
    )
  }

  /** Whether it can read everything that it stored: it reads everything to know. */
  private isWhole(node: SimulatedNode): boolean {
    if (!node.isDamaged) return true
    const cells = this.cellsOf(node)
    const stats = node.services && node.ask(node.storage.stats)
    return cells !== undefined && stats !== undefined && stats.damage === undefined && stats.holes.length === 0
  }

  private cellsOf(node: SimulatedNode): ReadonlyArray<Cell> | undefined {
    const exit = node.services && node.attempt(Stream.runCollect(node.storage.scan()), minute)
    return exit !== undefined && Exit.isSuccess(exit) ? exit.value : undefined
  }

  private agrees(key: Key): boolean {
    const versions = new Set<string>()
    for (const node of this.replicasOf(key)) {
      const exit = node.services && node.attempt(node.storage.version(key), 100)
      versions.add(
        exit === undefined || Exit.isFailure(exit)
          ? `not read from ${node.id}`
          : exit.value === undefined
          ? "none"
          : Version.format(exit.value)
      )
    }
    return versions.size <= 1
  }

  private replicasOf(key: Key): ReadonlyArray<SimulatedNode> {
    const witness = this.cluster.nodes.find(({ services }) => services !== undefined)
    const names = witness?.ring.preferenceList(key) ?? []
    return this.cluster.nodes.filter(({ id }) => names.includes(id))
  }

  private powerCycle(): void {
    if (this.stuck !== undefined) return
    // With `FSYNC=interval`, a write is synced a second after it was acknowledged.
    this.world.runUntil(() => false, this.world.now() + 2000)
    for (const node of this.cluster.nodes) this.cluster.crash(node, 0, true)
    for (const node of this.cluster.nodes) this.start(node, () => {})
    this.waitFor(() => this.allReady(), startMillisMax, "every node starts after the last loss of power")
  }

  private finalCells(): ReadonlyMap<string, ReadonlyArray<FinalCell>> {
    const found = new Map<string, ReadonlyArray<FinalCell>>()
    for (const node of this.cluster.nodes) {
      if (node.services === undefined) continue
      const cells = this.cellsOf(node)
      if (cells === undefined) this.stuck ??= `${node.id} cannot be scanned in the end`
      found.set(
        node.id,
        (cells ?? []).map(({ key, value, version }) => ({
          key,
          version,
          value: value === undefined ? undefined : Bytes.utf8(value.bytes)
        }))
      )
    }
    return found
  }
}

const takesPower: ReadonlySet<Schedule.FaultKind> = new Set(["power", "power-all", "lost-disk"])

/**
 * Small enough that logs, tables and compactions come and go within a run. `FSYNC=interval` promises nothing about a
 * loss of power, so it is drawn only where there is none.
 */
const drawSettings = (random: SeededRandom.SeededRandom, losesPower: boolean): Partial<NodeSettings> => {
  const drawn = random.fork("settings")
  return {
    memtableBytesMax: drawn.pick([2048, 16 * 1024, 256 * 1024]),
    blockCacheBytesMax: 256 * 1024,
    hintsBytesMaxPerPeer: drawn.pick([2048, 1024 * 1024]),
    comparisonInterval: Duration.seconds(drawn.pick([15, 30, 60])),
    fsync: losesPower ? "always" : drawn.pick(["always", "always", "interval"])
  }
}
