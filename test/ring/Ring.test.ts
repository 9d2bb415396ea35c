import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream, SubscriptionRef } from "effect"
import { ClusterConfig } from "../../src/config/ClusterConfig.ts"
import { Key } from "../../src/domain/Key.ts"
import { NodeId } from "../../src/domain/NodeId.ts"
import { Incarnation } from "../../src/domain/Version.ts"
import { Gossip, type Liveness, type Member } from "../../src/gossip/Gossip.ts"
import { Ring } from "../../src/ring/Ring.ts"

const member = (name: string, changes?: { liveness?: Liveness; vnodes?: number; address?: string }): Member => ({
  record: {
    nodeId: NodeId.make(name),
    incarnation: Incarnation.make("0123456789ab"),
    generation: 1,
    heartbeat: 1,
    address: changes?.address ?? `${name}:8080`,
    vnodes: changes?.vnodes ?? 100,
    state: "up",
    counter: 0
  },
  liveness: changes?.liveness ?? "up",
  heardAtMillis: 0
})

const withMembers = Effect.fnUntraced(function*(initial: ReadonlyArray<Member>) {
  const members = yield* SubscriptionRef.make(initial)
  const gossip = Layer.mock(Gossip, {
    self: NodeId.make("a"),
    liveness: () => "up",
    address: () => undefined,
    members: () => SubscriptionRef.getUnsafe(members),
    changes: SubscriptionRef.changes(members)
  })
  const services = yield* Layer.build(Ring.layer.pipe(Layer.provide([gossip, ClusterConfig.layerTest()])))
  const ring = yield* Effect.provide(Effect.service(Ring), services)
  const become = (next: ReadonlyArray<Member>) => Effect.andThen(SubscriptionRef.set(members, next), settle)
  return { ring, become }
})

/** Lets forked fibers run until they wait again. */
const settle = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })

describe("Ring", () => {
  it.effect("holds the members that gossip knows from the first moment", () =>
    Effect.gen(function*() {
      const { ring } = yield* withMembers([member("b"), member("a")])
      assert.strictEqual(ring.current().epoch, 1)
      assert.deepStrictEqual(ring.current().nodes, [NodeId.make("a"), NodeId.make("b")])
      assert.strictEqual(ring.current().preferenceLists.length, 1024)
    }))

  it.effect("keeps a node that is down, at the same epoch", () =>
    Effect.gen(function*() {
      const { become, ring } = yield* withMembers([member("a"), member("b")])
      const before = ring.current()
      yield* become([member("a"), member("b", { liveness: "down" })])
      assert.strictEqual(ring.current(), before)
    }))

  it.effect("keeps its epoch when only an address changes, and raises it when members or weights do", () =>
    Effect.gen(function*() {
      const { become, ring } = yield* withMembers([member("a")])
      yield* become([member("a", { address: "elsewhere:1" })])
      assert.strictEqual(ring.current().epoch, 1)
      yield* become([member("a"), member("b")])
      assert.strictEqual(ring.current().epoch, 2)
      yield* become([member("a"), member("b", { vnodes: 200 })])
      assert.strictEqual(ring.current().epoch, 3)
    }))

  it.effect("publishes the current ring at once, then each new epoch", () =>
    Effect.gen(function*() {
      const { become, ring } = yield* withMembers([member("a")])
      yield* become([member("a"), member("b")])
      const epochs = yield* ring.changes.pipe(
        Stream.map(({ epoch, nodes }) => [epoch, nodes.length]),
        Stream.take(2),
        Stream.runCollect,
        Effect.forkChild
      )
      yield* settle
      yield* become([member("a"), member("b"), member("c")])
      assert.deepStrictEqual(yield* Fiber.join(epochs), [[2, 2], [3, 3]])
    }))

  it.effect("waits for as many nodes as asked for, and not when they are there", () =>
    Effect.gen(function*() {
      const { become, ring } = yield* withMembers([member("a")])
      yield* ring.awaitNodes(1)
      const fiber = yield* Effect.forkChild(ring.awaitNodes(3))
      yield* become([member("a"), member("b")])
      assert.isUndefined(fiber.pollUnsafe())
      yield* become([member("a"), member("b"), member("c")])
      yield* Fiber.join(fiber)
    }))

  it.effect("gives a key the list of its partition, of N nodes", () =>
    Effect.gen(function*() {
      const ring = yield* Ring
      for (const name of ["users/42", "ключ", "x"]) {
        const key = Key.make(name)
        const list = ring.preferenceList(key)
        assert.strictEqual(list, ring.current().preferenceLists[ring.partitionOf(key)])
        assert.strictEqual(list.length, 2)
      }
    }).pipe(
      Effect.provide(
        Ring.layerFixed(["a", "b", "c"].map((name) => NodeId.make(name))).pipe(
          Layer.provide(ClusterConfig.layerTest({ replicationFactor: 2, writeQuorum: 1, readQuorum: 2 }))
        )
      )
    ))
})
