/**
 * Gossip of many nodes on one virtual clock, over a network in memory that delays, cuts, and loses processes.
 *
 * A stopped node refuses connections, a paused one accepts them and answers nothing: its timers stand still too, as
 * under SIGSTOP, and fire all at once when it goes on.
 */
import { Clock, Context, Effect, Exit, Latch, Layer, Random, Scope, Stream } from "effect"
import { LamportClock } from "../../src/clock/LamportClock.ts"
import { ClusterConfig, type ClusterSettings } from "../../src/config/ClusterConfig.ts"
import { NodeConfig } from "../../src/config/NodeConfig.ts"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import { Identity } from "../../src/disk/Identity.ts"
import { NodeId } from "../../src/domain/NodeId.ts"
import { Gossip, type Liveness } from "../../src/gossip/Gossip.ts"
import { PeerClient } from "../../src/peer/PeerClient.ts"
import { PeerFailed } from "../../src/peer/PeerError.ts"
import type { GossipMessage } from "../../src/peer/PeerProtocol.ts"

export type Service = Gossip["Service"]

export interface NodeOptions {
  readonly address?: string
  readonly seeds?: ReadonlyArray<string>
  readonly settings?: Partial<ClusterSettings>
  readonly counter?: number
  readonly vnodes?: number
  /** Starts over with an empty data directory. */
  readonly lostDisk?: boolean
  /** A directory of its own for a second node of one name. */
  readonly directory?: string
}

interface Process {
  readonly gossip: Service
  readonly scope: Scope.Closeable
  readonly latch: Latch.Latch
  readonly clock: Clock.Clock
  readonly lamport: LamportClock["Service"]
}

export interface Heard {
  readonly from: string
  readonly to: string
  readonly message: GossipMessage
}

export const addressOf = (name: string) => `${name}:8080`

export const make = Effect.fnUntraced(function*(options?: { readonly delayMillis?: number }) {
  const processes = new Map<string, Process>()
  const disks = new Map<string, DiskMemory.DiskMemory>()
  const cuts = new Set<string>()
  const heard: Array<Heard> = []
  const probes: Array<string> = []
  const delay = Effect.sleep(options?.delayMillis ?? 1)
  const clusterScope = yield* Effect.scope

  const failed = (peer: string, reason: PeerFailed["reason"], detail: string) =>
    Effect.fail(new PeerFailed({ peer, reason, detail }))

  /** One request: there, handled by whatever process is there then, and back. */
  const request = <A>(
    from: string,
    to: string,
    handle: (gossip: Service) => Effect.Effect<A, PeerFailed>
  ): Effect.Effect<A, PeerFailed> =>
    Effect.gen(function*() {
      yield* delay
      const target = processes.get(to)
      if (target === undefined) return yield* failed(to, "unreachable", "connection refused")
      if (cuts.has(`${from} ${to}`)) return yield* Effect.never
      yield* target.latch.await
      const answer = yield* Effect.provideService(handle(target.gossip), Clock.Clock, target.clock)
      if (cuts.has(`${to} ${from}`)) return yield* Effect.never
      yield* delay
      return answer
    })

  const clientAt = (from: string) =>
    Layer.mock(PeerClient, {
      gossip: (to, message) => {
        heard.push({ from, to, message })
        return request(from, to, (gossip) =>
          Effect.catchTag(gossip.receive(message), "GossipRefused", ({ detail }) =>
            failed(to, "refused", detail)))
      },
      probe: (to, target) => {
        probes.push(`${from} ${to} ${target}`)
        return request(from, to, (gossip) =>
          gossip.probe(target))
      }
    })

  const start = Effect.fnUntraced(function*(name: string, node: NodeOptions = {}) {
    const address = node.address ?? addressOf(name)
    const directory = node.directory ?? name
    if (node.lostDisk === true) disks.delete(directory)
    const disk = disks.get(directory) ?? DiskMemory.make(1)
    disks.set(directory, disk)
    const nodeId = NodeId.make(name)
    const latch = yield* Latch.make(true)
    const scope = yield* Scope.fork(clusterScope)
    const nodeConfig = NodeConfig.layerTest({
      nodeId,
      address,
      seeds: node.seeds ?? [],
      ...(node.vnodes === undefined ? {} : { vnodes: node.vnodes })
    })
    const lamport = lamportAt(node.counter ?? 0)
    const clock = pausable(yield* Clock.Clock, latch)
    const random = yield* Random.Random
    const context = yield* Gossip.layer.pipe(
      Layer.provide([clientAt(address), ClusterConfig.layerTest(node.settings)]),
      Layer.provide(Layer.succeed(LamportClock, lamport)),
      Layer.provide(Identity.layer),
      Layer.provide([disk.layer, nodeConfig]),
      Layer.buildWithScope(scope),
      Effect.provideService(Clock.Clock, clock),
      Effect.provideService(Random.Random, random)
    )
    const gossip = Context.get(context, Gossip)
    processes.set(address, { gossip, scope, latch, clock, lamport })
    return gossip
  })

  const processAt = (name: string) => processes.get(addressOf(name))!

  /** As if the process were killed: nothing is said to anybody. */
  const stop = Effect.fnUntraced(function*(name: string) {
    const { scope } = processAt(name)
    processes.delete(addressOf(name))
    yield* Scope.close(scope, Exit.void)
  })

  return {
    start,
    stop,
    pause: (name: string) => processAt(name).latch.close,
    resume: (name: string) => processAt(name).latch.open,
    /** Messages vanish in this direction. */
    cut: (from: string, to: string) => void cuts.add(`${addressOf(from)} ${addressOf(to)}`),
    mend: (from: string, to: string) => void cuts.delete(`${addressOf(from)} ${addressOf(to)}`),
    heal: () => cuts.clear(),
    gossipOf: (name: string) => processAt(name).gossip,
    counterOf: (name: string) => processAt(name).lamport.current(),
    running: () => Array.from(processes.values(), ({ gossip }) => gossip),
    diskOf: (name: string) => disks.get(name)!,
    /** Every probe sent so far, as `from to target`. */
    probes: (): ReadonlyArray<string> => probes,
    /** Every message sent so far, oldest first, delivered or not. */
    heard: heard as ReadonlyArray<Heard>
  }
})

/** A Lamport clock that stamps nothing. */
const lamportAt = (counter: number): LamportClock["Service"] => {
  let current = counter
  return {
    next: Effect.die("gossip stamps nothing"),
    observe: (seen) => {
      current = Math.max(current, seen)
      return true
    },
    current: () => current
  }
}

/** Timers that are due while the latch is closed wait for it; the time itself goes on. */
const pausable = (clock: Clock.Clock, latch: Latch.Latch): Clock.Clock => ({
  currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
  currentTimeMillis: clock.currentTimeMillis,
  currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
  currentTimeNanos: clock.currentTimeNanos,
  monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
  monotonicTimeNanos: clock.monotonicTimeNanos,
  sleep: (duration) => Effect.andThen(clock.sleep(duration), latch.await)
})

export interface Turn {
  readonly atMillis: number
  readonly liveness: Liveness
  /** Since news of the member last arrived. */
  readonly silentMillis: number
}

/** Writes down each change of one node's opinion of another, until the test ends. */
export const watch = Effect.fnUntraced(function*(gossip: Service, name: string) {
  const nodeId = NodeId.make(name)
  const turns: Array<Turn> = []
  yield* gossip.changes.pipe(
    Stream.runForEach((members) =>
      Effect.map(Clock.currentTimeMillis, (atMillis) => {
        const member = members.find(({ record }) => record.nodeId === nodeId)
        if (member === undefined || turns.at(-1)?.liveness === member.liveness) return
        turns.push({ atMillis, liveness: member.liveness, silentMillis: atMillis - member.heardAtMillis })
      })
    ),
    Effect.forkScoped
  )
  return turns
})
