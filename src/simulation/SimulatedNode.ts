/**
 * One machine of a simulated cluster: its disk, its clock, its place in the network, and its process, if one runs.
 *
 * Virtual time passes until a node has answered, so a test is plain synchronous code. Like an assertion, `run` throws
 * an error of the node.
 */
import { Cause, Context, Duration, Effect, Exit, type Fiber, Stream } from "effect"
import type { Holdings } from "../anti-entropy/Holdings.ts"
import { LamportClock } from "../clock/LamportClock.ts"
import type { ClusterSettings } from "../config/ClusterConfig.ts"
import type { NodeSettings } from "../config/NodeConfig.ts"
import { Coordinator } from "../coordinator/Coordinator.ts"
import type { ReadOptions, WriteOptions } from "../coordinator/receipts.ts"
import type * as DiskMemory from "../disk/DiskMemory.ts"
import * as Bytes from "../domain/bytes.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import { Key } from "../domain/Key.ts"
import type { NodeId } from "../domain/NodeId.ts"
import * as Version from "../domain/Version.ts"
import { Gossip } from "../gossip/Gossip.ts"
import type { Metrics } from "../observability/Metrics.ts"
import { Replicator } from "../replicator/Replicator.ts"
import { Ring } from "../ring/Ring.ts"
import { Storage } from "../storage/Storage.ts"
import type { Follower } from "./Follower.ts"
import type { Host } from "./Network.ts"
import * as peerMessages from "./peerMessages.ts"
import type { Process, World } from "./World.ts"

export type Services = Coordinator | Gossip | Holdings | LamportClock | Metrics | Replicator | Ring | Storage

export interface NodeOptions {
  readonly id: NodeId
  /** The machine's: two nodes may claim one id. */
  readonly name: string
  readonly address: string
  readonly disk: DiskMemory.DiskMemory
  readonly settings: Partial<NodeSettings>
  readonly clusterSettings: Partial<ClusterSettings>
}

/** Longer than any operation or repair may take. */
const patience = Duration.minutes(1)

export class SimulatedNode {
  readonly id: NodeId
  readonly name: string
  readonly host: Host
  /** For its next start. */
  settings: Partial<NodeSettings>
  readonly clusterSettings: Partial<ClusterSettings>
  /** How many times slower than usual its disk is. */
  readonly diskSpeed = { factor: 1 }
  disk: DiskMemory.DiskMemory
  process: Process | undefined
  /** `undefined` until its Layers are built. */
  services: Context.Context<Services> | undefined
  /** Follows the store of the present process. */
  follower: Follower | undefined
  machineIsUp = true
  /** Its clock is a property of the machine: it survives a restart. */
  clockOffsetMillis = 0
  slowness = 1
  /** A byte of a closed file was flipped: some cells may be unreadable until they are repaired. */
  isDamaged = false
  /** Its disk takes no more bytes. */
  isFull = false
  /** The newest version of each key that its store has accepted. */
  promised = new Map<Key, Version.Version>()
  private readonly world: World

  constructor(world: World, { address, clusterSettings, disk, id, name, settings }: NodeOptions) {
    this.world = world
    this.id = id
    this.name = name
    this.disk = disk
    this.settings = settings
    this.clusterSettings = clusterSettings
    this.host = {
      name,
      address,
      process: () => this.process,
      machineIsUp: () => this.machineIsUp,
      serve: (kind, body, onExit): Fiber.Fiber<unknown, unknown> | undefined =>
        this.services && this.process!.run(peerMessages.answer(this.services, id, kind, body), Context.empty(), onExit)
    }
  }

  get address(): string {
    return this.host.address
  }

  // --- its disk and its clock -----------------------------------------------------------------------------------

  fillDisk(isFull: boolean): void {
    this.isFull = isFull
    this.disk.setFull(isFull)
  }

  damage(path: string, offsetBytes: number): void {
    this.isDamaged = true
    this.disk.damage(path, offsetBytes)
  }

  replaceDisk(disk: DiskMemory.DiskMemory): void {
    this.disk = disk
    this.isDamaged = false
    this.promised = new Map()
    disk.setFull(this.isFull)
  }

  remember({ key, version }: Cell): void {
    const before = this.promised.get(key)
    if (before === undefined || Version.compare(version, before) > 0) this.promised.set(key, version)
  }

  setClockOffset(millis: number): void {
    this.clockOffsetMillis = millis
    if (this.process !== undefined) this.process.clockOffsetMillis = millis
  }

  setSlowness(slowness: number): void {
    this.slowness = slowness
    if (this.process !== undefined) this.process.slowness = slowness
  }

  // --- its process ----------------------------------------------------------------------------------------------

  /** Begins an effect in the node, and lets no time pass. */
  begin<A, E>(effect: Effect.Effect<A, E, Services>): Fiber.Fiber<A, E> {
    if (this.process === undefined || this.services === undefined) throw new Error(`${this.name} does not run`)
    return this.process.run(effect, this.services, () => {})
  }

  /** The exit of an effect in the node; `undefined` when the node does not run, or the effect takes longer. */
  attempt<A, E>(
    effect: Effect.Effect<A, E, Services>,
    atMost: Duration.Input = patience
  ): Exit.Exit<A, E> | undefined {
    if (this.services === undefined) return undefined
    const fiber = this.begin(effect)
    const untilMillis = this.world.now() + Duration.toMillis(atMost)
    this.world.runUntil(() => fiber.pollUnsafe() !== undefined, untilMillis)
    return fiber.pollUnsafe()
  }

  /** The answer of an effect in the node. */
  run<A, E>(effect: Effect.Effect<A, E, Services>): A {
    const exit = this.attempt(effect)
    if (exit === undefined) throw new Error(`${this.name} does not answer within ${Duration.format(patience)}`)
    if (Exit.isSuccess(exit)) return exit.value
    throw Cause.squash(exit.cause)
  }

  /** The error of an effect that must fail. */
  failure<A, E>(effect: Effect.Effect<A, E, Services>): E {
    return this.run(Effect.flip(effect))
  }

  /** The answer to a question that takes no time; `undefined` when there is none. */
  ask<A, E>(question: Effect.Effect<A, E, Services>): A | undefined {
    const exit = this.services && this.begin(question).pollUnsafe()
    return exit !== undefined && Exit.isSuccess(exit) ? exit.value : undefined
  }

  put(key: string, text: string, options?: WriteOptions) {
    const value = { bytes: Bytes.fromUtf8(text), contentType: "text/plain" }
    return this.run(this.coordinator.put(Key.make(key), value, options))
  }

  delete(key: string, options?: WriteOptions) {
    return this.run(this.coordinator.delete(Key.make(key), options))
  }

  /** The text of the key's value; `undefined` when there is none. */
  get(key: string, options?: ReadOptions): string | undefined {
    return textOf(this.run(this.coordinator.get(Key.make(key), options)).cell)
  }

  /** All cells of its own store, tombstones included, as lines. */
  contents(): ReadonlyArray<string> {
    return this.run(Stream.runCollect(this.storage.scan())).map((cell) =>
      `${cell.key}=${textOf(cell) ?? "(deleted)"} ${Version.format(cell.version)}`
    )
  }

  /** Its opinion of another node. */
  sees(other: SimulatedNode) {
    return this.gossip.liveness(other.id)
  }

  get coordinator() {
    return this.service(Coordinator)
  }

  get gossip() {
    return this.service(Gossip)
  }

  get lamportClock() {
    return this.service(LamportClock)
  }

  get replicator() {
    return this.service(Replicator)
  }

  get ring() {
    return this.service(Ring)
  }

  get storage() {
    return this.service(Storage)
  }

  private service<I extends Services, S>(key: Context.Key<I, S>): S {
    if (this.services === undefined) throw new Error(`${this.name} does not run`)
    return Context.get(this.services, key)
  }
}

const textOf = (cell: Cell | undefined): string | undefined =>
  cell?.value === undefined ? undefined : Bytes.utf8(cell.value.bytes)
