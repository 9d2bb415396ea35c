/**
 * Clients: each sends one operation after another to nodes of its choice, on few hot keys and many cold ones, tries
 * again after an unknown outcome, and sometimes leaves before the answer. Their operations are the history.
 */
import { Cause, Context, Effect, Exit } from "effect"
import { Coordinator } from "../coordinator/Coordinator.ts"
import type { ReadQuorumNotReached, WriteQuorumNotReached } from "../coordinator/CoordinatorError.ts"
import * as Bytes from "../domain/bytes.ts"
import type { Value } from "../domain/cell/Cell.ts"
import { Key } from "../domain/Key.ts"
import type { SeededRandom } from "../domain/SeededRandom.ts"
import type { Version } from "../domain/Version.ts"
import type { Cluster } from "./Cluster.ts"
import type { Operation, Outcome } from "./History.ts"
import type { Services, SimulatedNode } from "./SimulatedNode.ts"
import type { World } from "./World.ts"

export interface WorkloadOptions {
  readonly clients: number
  readonly keys: number
  /** Longest pause of a client between two operations. */
  readonly thinkMillisMax: number
  readonly valueBytesMax: number
  readonly untilMillis: number
}

export const drawOptions = (random: SeededRandom, untilMillis: number): WorkloadOptions => ({
  clients: 2 + random.below(5),
  keys: 2 + random.below(30),
  thinkMillisMax: random.pick([200, 1000, 3000]),
  valueBytesMax: random.pick([16, 200, 2000]),
  untilMillis
})

/** How long a client waits for an answer: longer than a node lets a request take. */
const patienceMillis = 8000

export class Workload {
  readonly operations: Array<Operation> = []
  private readonly world: World
  private readonly cluster: Cluster
  private readonly random: SeededRandom
  private readonly options: WorkloadOptions
  private working: number

  constructor(world: World, cluster: Cluster, random: SeededRandom, options: WorkloadOptions) {
    this.world = world
    this.cluster = cluster
    this.random = random
    this.options = options
    this.working = options.clients
    for (let client = 0; client < options.clients; client++) this.think(client, random.fork(`client ${client}`))
  }

  isDone(): boolean {
    return this.working === 0
  }

  keys(): ReadonlyArray<Key> {
    return Array.from({ length: this.options.keys }, (_, index) => keyOf(index))
  }

  /** A quorum read of every key, through any node, so that the end is seen as a client sees it. */
  readAll(onDone: () => void): void {
    let open = this.options.keys
    for (const key of this.keys()) {
      const node = this.random.pick(this.cluster.nodes)
      this.send(
        { client: this.options.clients, node, kind: "get", key, value: undefined, quorum: 2 },
        undefined,
        () => {
          if (--open === 0) onDone()
        }
      )
    }
  }

  private think(client: number, random: SeededRandom): void {
    this.world.after(this.cluster.outside, random.between(0, this.options.thinkMillisMax), () => {
      if (this.world.now() >= this.options.untilMillis) this.working--
      else this.act(client, random, this.drawKey(random))
    })
  }

  private act(client: number, random: SeededRandom, key: Key): void {
    const share = random.next()
    const kind = share < 0.5 ? "put" : share < 0.6 ? "delete" : "get"
    const leavesAfterMillis = random.chance(0.04) ? random.between(0, 20) : undefined
    const intent: Intent = {
      client,
      node: this.drawNode(random),
      kind,
      key,
      value: kind === "put" ? this.drawValue(random) : undefined,
      quorum: random.chance(0.9) ? 2 : random.chance(0.5) ? 3 : 1
    }
    this.send(intent, leavesAfterMillis, ({ outcome }) => {
      // As an application does: it tries an unknown outcome again, at another node.
      if (outcome?._tag === "Unknown" && kind !== "get" && this.world.now() < this.options.untilMillis) {
        this.act(client, random, key)
      } else this.think(client, random)
    })
  }

  private drawKey(random: SeededRandom): Key {
    const { keys } = this.options
    return keyOf(random.chance(0.5) ? random.below(Math.min(2, keys)) : random.below(keys))
  }

  private drawNode(random: SeededRandom): SimulatedNode {
    const { nodes } = this.cluster
    const running = nodes.filter(({ services }) => services !== undefined)
    return running.length === 0 || random.chance(0.05) ? random.pick(nodes) : random.pick(running)
  }

  private drawValue(random: SeededRandom): string {
    const name = `${this.operations.length}`
    return `${name} `.padEnd(name.length + 1 + random.below(this.options.valueBytesMax), "v")
  }

  private send(intent: Intent, leavesAfterMillis: number | undefined, onEnd: (operation: Operation) => void): void {
    const { world } = this
    const { client, key, kind, node, quorum, value } = intent
    const operation: Operation = {
      id: this.operations.length,
      client,
      node: node.id,
      kind,
      key,
      value,
      quorum,
      began: world.nextSequence(),
      beganMillis: world.now(),
      ended: 0,
      endedMillis: 0,
      outcome: undefined
    }
    this.operations.push(operation)
    world.trace(`client ${client} ${kind} ${key} at ${node.id}`)
    let interrupt: (() => void) | undefined
    const end = (outcome: Outcome) => {
      if (operation.outcome !== undefined) return
      operation.outcome = outcome
      operation.ended = world.nextSequence()
      operation.endedMillis = world.now()
      world.trace(`client ${client} ends ${operation.id} ${outcome._tag} ${describe(outcome)}`)
      cancelPatience()
      onEnd(operation)
    }
    const leave = (error: string, detail: string) => {
      interrupt?.()
      end({ _tag: "Unknown", error, detail })
    }
    const cancelPatience = world.after(
      this.cluster.outside,
      leavesAfterMillis ?? patienceMillis,
      () => leavesAfterMillis === undefined ? leave("ClientTimeout", "no answer") : leave("ClientGone", "it left")
    )
    // Loopback or a data centre's network: clients' messages are not lost, nodes are.
    world.after(this.cluster.outside, 0.2, () => {
      const { process, services } = node
      if (operation.outcome !== undefined) return
      if (process === undefined || services === undefined) {
        if (node.machineIsUp) end({ _tag: "NotApplied", error: "ConnectionRefused", detail: "not running" })
        return
      }
      world.post(process, () => {
        const fiber = process.run(perform(services, intent), Context.empty(), (exit) => {
          world.after(this.cluster.outside, 0.2, () => end(outcomeOf(exit)))
        })
        interrupt = () => world.post(process, () => fiber.interruptUnsafe())
      })
      this.watch(process, () => end({ _tag: "Unknown", error: "ConnectionLost", detail: "reset" }), operation)
    })
  }

  /** A client sees its connection break when the process dies and the machine lives. */
  private watch(process: { readonly isAlive: () => boolean }, lost: () => void, operation: Operation): void {
    this.world.after(this.cluster.outside, 50, () => {
      if (operation.outcome !== undefined) return
      if (process.isAlive()) this.watch(process, lost, operation)
      else lost()
    })
  }
}

interface Intent {
  readonly client: number
  readonly node: SimulatedNode
  readonly kind: Operation["kind"]
  readonly key: Key
  readonly value: string | undefined
  readonly quorum: number
}

interface Seen {
  readonly version: Version | undefined
  readonly value: string | undefined
}

const keyOf = (index: number): Key => Key.make(index === 1 ? "hot/ключ" : `key/${index}`)

const valueOf = (text: string): Value => ({ bytes: Bytes.fromUtf8(text), contentType: "text/plain" })

const perform = (
  services: Context.Context<Services>,
  { key, kind, quorum, value }: Intent
): Effect.Effect<Seen, WriteQuorumNotReached | ReadQuorumNotReached> => {
  const coordinator = Context.get(services, Coordinator)
  if (kind === "get") {
    return Effect.map(coordinator.get(key, { r: quorum }), ({ cell }) => ({
      version: cell?.version,
      value: cell?.value === undefined ? undefined : Bytes.utf8(cell.value.bytes)
    }))
  }
  return Effect.map(
    value === undefined ? coordinator.delete(key, { w: quorum }) : coordinator.put(key, valueOf(value), { w: quorum }),
    ({ version }) => ({ version, value })
  )
}

const outcomeOf = (exit: Exit.Exit<Seen, WriteQuorumNotReached | ReadQuorumNotReached>): Outcome => {
  if (Exit.isSuccess(exit)) return { _tag: "Ok", ...exit.value }
  const failure = exit.cause.reasons.find(Cause.isFailReason)?.error
  if (failure === undefined) return { _tag: "Defect", detail: Cause.pretty(exit.cause) }
  const { _tag: error, message: detail } = failure
  const isUnknown = failure._tag === "WriteQuorumNotReached" && failure.outcome === "unknown"
  return { _tag: isUnknown ? "Unknown" : "NotApplied", error, detail }
}

/** For the trace, without a stack, which differs from host to host. */
const describe = (outcome: Outcome): string =>
  outcome._tag === "Ok"
    ? `${outcome.version?.counter ?? "-"} ${outcome.version?.nodeId ?? ""} ${outcome.value?.slice(0, 12) ?? "absent"}`
    : outcome.detail.split("\n", 1)[0]!
