import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Holdings } from "../../src/anti-entropy/Holdings.ts"
import { Reconciler } from "../../src/anti-entropy/Reconciler.ts"
import { Recovery } from "../../src/anti-entropy/Recovery.ts"
import { ClusterConfig } from "../../src/config/ClusterConfig.ts"
import { NodeConfig } from "../../src/config/NodeConfig.ts"
import { Identity } from "../../src/disk/Identity.ts"
import { DiskFull } from "../../src/disk/StorageError.ts"
import type { NodeId } from "../../src/domain/NodeId.ts"
import { Gossip, type Liveness } from "../../src/gossip/Gossip.ts"
import { PeerClient } from "../../src/peer/PeerClient.ts"
import type { PeerFailed } from "../../src/peer/PeerError.ts"
import { Hints } from "../../src/replication/Hints.ts"
import { Intake } from "../../src/replication/Intake.ts"
import { Peers } from "../../src/replication/Peers.ts"
import { Ring } from "../../src/ring/Ring.ts"
import { Storage } from "../../src/storage/Storage.ts"
import { a, b, c, cellOf, failedBy, settle } from "../coordinator/requests.ts"
import { gossip, layerMock, storage } from "../replicator/fakes.ts"

const empty = ["0000000000000000-0"]

/** One round; the first runs at the start. */
const round = Effect.andThen(TestClock.adjust("500 millis"), settle)

/** The reconciler of `a`, whose peers agree with it in everything unless the test says otherwise. */
const start = Effect.fnUntraced(function*(
  options?: { readonly fresh?: boolean; readonly salvaged?: boolean; readonly nodes?: Array<NodeId> }
) {
  const world = {
    nodes: options?.nodes ?? [a, b, c],
    liveness: new Map<NodeId, Liveness>(),
    generation: new Map<NodeId, number>([[b, 1], [c, 1]]),
    failure: new Map<string, PeerFailed>(),
    compared: [] as Array<string>,
    damaged: new Set<string>(),
    slow: new Set<string>(),
    defects: new Set<string>(),
    pending: new Map<NodeId, number>(),
    dropped: 0,
    sent: [] as Array<string>,
    delivery: Effect.void as Effect.Effect<void, PeerFailed>,
    settled: 0,
    marking: Effect.void as Effect.Effect<void, DiskFull>
  }
  const digests = Effect.succeed({ digests: empty, isDamaged: false })
  const services = yield* Layer.build(
    Layer.fresh(Reconciler.layer).pipe(
      Layer.provideMerge(Layer.fresh(Recovery.layer)),
      Layer.provide([
        ClusterConfig.layerTest(),
        NodeConfig.layerTest({ comparisonInterval: Duration.minutes(1) }),
        Layer.succeed(Gossip, gossip(a, world)),
        layerMock(Hints, {
          pending: (peer) => world.pending.get(peer) ?? 0,
          status: () => [{ peer: b, pending: 0, pendingBytes: 0, dropped: world.dropped, delivered: 0 }],
          deliver: (peer, send) =>
            Effect.gen(function*() {
              yield* world.delivery
              yield* send(Array.from({ length: world.pending.get(peer)! }, () => cellOf(1)))
              world.pending.delete(peer)
            })
        }),
        layerMock(Holdings, { digests }),
        layerMock(Identity, {
          fresh: options?.fresh ?? false,
          markSettled: Effect.suspend(() => Effect.map(world.marking, () => void world.settled++))
        }),
        layerMock(Intake, { takeIn: () => Effect.succeed([]) }),
        layerMock(PeerClient, {
          digests: (address) =>
            Effect.suspend(() => {
              world.compared.push(address)
              const failure = world.failure.get(address)
              const isDamaged = world.damaged.has(address)
              if (world.slow.has(address)) return Effect.never
              if (world.defects.has(address)) return Effect.die(new Error("a defect on purpose"))
              return failure === undefined ? Effect.succeed({ digests: empty, isDamaged }) : Effect.fail(failure)
            }),
          versions: () => Stream.empty
        }),
        layerMock(Peers, {
          writeAll: (peer, cells) =>
            Effect.sync(() => {
              world.sent.push(`${peer} ${cells.length}`)
              return []
            })
        }),
        layerMock(Ring, {
          current: () => ({ epoch: 1, nodes: world.nodes, preferenceLists: [world.nodes] }),
          partitionOf: () => 0
        }),
        Layer.succeed(Storage, Object.assign(storage().service, { salvaged: options?.salvaged ?? false }))
      ])
    )
  )
  const reconciler = Context.get(services, Reconciler)
  const { isRecovering } = Context.get(services, Recovery)
  yield* settle
  /** Peers that were compared since the last call. */
  const compared = () => world.compared.splice(0)
  const stateOf = (peer: NodeId) => reconciler.status().find((status) => status.peer === peer)?.state
  return { world, reconciler, isRecovering, compared, stateOf }
})

describe("Reconciler", () => {
  it.effect("compares with every peer when it starts, once", () =>
    Effect.gen(function*() {
      const { compared, isRecovering, stateOf } = yield* start()
      assert.sameMembers(compared(), ["b:1", "c:1"])
      assert.deepStrictEqual([stateOf(b), stateOf(c), stateOf(a)], ["in-sync", "in-sync", undefined])
      yield* round
      assert.deepStrictEqual(compared(), [])
      assert.isFalse(isRecovering())
    }))

  it.effect("compares again now and then in any case", () =>
    Effect.gen(function*() {
      const { compared } = yield* start()
      compared()
      yield* TestClock.adjust("44 seconds")
      assert.deepStrictEqual(compared(), [])
      yield* TestClock.adjust("33 seconds")
      assert.sameMembers(compared(), ["b:1", "c:1"])
    }))

  it.effect("does not bother a peer that is suspect or down, and compares when it is back", () =>
    Effect.gen(function*() {
      const { compared, stateOf, world } = yield* start({ nodes: [a] })
      world.liveness.set(b, "down").set(c, "suspect")
      world.nodes.push(b, c)
      yield* round
      assert.deepStrictEqual(compared(), [])
      assert.strictEqual(stateOf(b), "waiting")
      world.liveness.clear()
      yield* round
      assert.sameMembers(compared(), ["b:1", "c:1"])
    }))

  it.effect("compares with a peer that was out of reach, not with one that started again and compares by itself", () =>
    Effect.gen(function*() {
      const { compared, world } = yield* start()
      compared()
      for (const generation of [1, 2]) {
        world.liveness.set(b, "down")
        yield* round
        world.liveness.clear()
        world.generation.set(b, generation)
        yield* round
        assert.deepStrictEqual(compared(), generation === 1 ? ["b:1"] : [])
      }
    }))

  it.effect("compares when a hint was dropped, and when a write here was missed", () =>
    Effect.gen(function*() {
      const { compared, reconciler, world } = yield* start()
      compared()
      world.dropped = 1
      yield* round
      assert.deepStrictEqual(compared(), ["b:1"])
      yield* round
      assert.deepStrictEqual(compared(), [])
      reconciler.missedLocally()
      yield* round
      assert.sameMembers(compared(), ["b:1", "c:1"])
    }))

  it.effect("tries a failed comparison again after two seconds, and says meanwhile why it failed", () =>
    Effect.gen(function*() {
      const { compared, reconciler, stateOf, world } = yield* start({ nodes: [a] })
      world.failure.set("b:1", failedBy(b, "overloaded"))
      world.nodes.push(b)
      yield* round
      assert.deepStrictEqual(compared(), ["b:1"])
      assert.deepInclude(reconciler.status()[0]!, { state: "failed", failure: "b overloaded: on purpose" })
      world.failure.clear()
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(compared(), [])
      yield* round
      assert.deepStrictEqual(compared(), ["b:1"])
      assert.strictEqual(stateOf(b), "in-sync")
      assert.isUndefined(reconciler.status()[0]!.failure)
    }))

  it.effect("tries a comparison again that died of a defect", () =>
    Effect.gen(function*() {
      const { compared, reconciler, stateOf, world } = yield* start({ nodes: [a] })
      world.defects.add("b:1")
      world.nodes.push(b)
      yield* round
      assert.deepInclude(reconciler.status()[0]!, { state: "failed", failure: "a defect on purpose" })
      world.defects.clear()
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(compared(), ["b:1", "b:1"])
      assert.strictEqual(stateOf(b), "in-sync")
    }))

  it.effect("delivers hints to a peer that is up, in batches, before it compares", () =>
    Effect.gen(function*() {
      const { compared, world } = yield* start({ nodes: [a] })
      world.pending.set(b, 600)
      world.liveness.set(b, "down")
      world.nodes.push(b)
      yield* round
      assert.deepStrictEqual(world.sent, [])
      world.liveness.clear()
      world.delivery = Effect.sync(() => assert.deepStrictEqual(compared(), []))
      yield* round
      assert.deepStrictEqual(world.sent, ["b 256", "b 256", "b 88"])
      assert.deepStrictEqual(compared(), ["b:1"])
    }))

  it.effect("delivers hints to a peer while the comparison with another takes long", () =>
    Effect.gen(function*() {
      const { compared, stateOf, world } = yield* start({ nodes: [a] })
      world.slow.add("c:1")
      world.nodes.push(b, c)
      yield* round
      assert.deepStrictEqual([stateOf(b), stateOf(c)], ["in-sync", "running"])
      compared()
      world.pending.set(b, 1)
      yield* round
      assert.deepStrictEqual([world.sent, compared()], [["b 1"], []])
    }))

  it.effect("tries hints again that were not taken, and does not take that for a failed comparison", () =>
    Effect.gen(function*() {
      const { compared, stateOf, world } = yield* start()
      compared()
      world.pending.set(b, 1)
      world.delivery = Effect.fail(failedBy(b))
      yield* round
      assert.deepStrictEqual([world.sent, stateOf(b)], [[], "in-sync"])
      world.delivery = Effect.void
      yield* TestClock.adjust("2500 millis")
      assert.deepStrictEqual([world.sent, stateOf(b)], [["b 1"], "in-sync"])
      assert.deepStrictEqual(compared(), [])
    }))

  it.effect("recovers when it has compared with every other node, and writes that down first", () =>
    Effect.gen(function*() {
      const { isRecovering, world } = yield* start({ fresh: true, nodes: [a] })
      world.failure.set("c:1", failedBy(c))
      world.nodes.push(b, c)
      yield* round
      assert.isTrue(isRecovering())
      world.marking = Effect.fail(new DiskFull({ path: "data" }))
      world.failure.clear()
      yield* TestClock.adjust("3 seconds")
      assert.isTrue(isRecovering())
      assert.strictEqual(world.settled, 0)
      world.marking = Effect.void
      yield* round
      assert.isFalse(isRecovering())
      yield* round
      assert.strictEqual(world.settled, 1)
    }))

  it.effect("does not recover by a peer that has lost cells to damage, before that one is whole", () =>
    Effect.gen(function*() {
      const { compared, isRecovering, reconciler, stateOf, world } = yield* start({ fresh: true, nodes: [a] })
      world.damaged.add("c:1")
      world.nodes.push(b, c)
      yield* round
      assert.deepStrictEqual([stateOf(b), stateOf(c)], ["in-sync", "failed"])
      assert.include(reconciler.status().find(({ peer }) => peer === c)!.failure, "lost cells to damage")
      compared()
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual([isRecovering(), new Set(compared())], [true, new Set(["c:1"])])
      world.damaged.clear()
      yield* TestClock.adjust("3 seconds")
      yield* settle
      assert.isFalse(isRecovering())
    }))

  it.effect("is in sync with a damaged peer when it has lost nothing itself", () =>
    Effect.gen(function*() {
      const { stateOf, world } = yield* start({ nodes: [a] })
      world.damaged.add("b:1")
      world.nodes.push(b)
      yield* round
      assert.strictEqual(stateOf(b), "in-sync")
    }))

  it.effect.each([{ fresh: true }, { salvaged: true }])(
    "does not recover alone, not knowing what others hold: %j",
    (lost) =>
      Effect.gen(function*() {
        const { isRecovering, world } = yield* start({ ...lost, nodes: [a] })
        yield* round
        assert.isTrue(isRecovering())
        world.nodes.push(b)
        yield* round
        assert.isFalse(isRecovering())
        assert.strictEqual(world.settled, 1)
      })
  )
})
