import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, SubscriptionRef } from "effect"
import { ClusterConfig } from "../../src/config/ClusterConfig.ts"
import { Key } from "../../src/domain/Key.ts"
import { NodeId } from "../../src/domain/NodeId.ts"
import { Gossip, type Liveness, type Member } from "../../src/gossip/Gossip.ts"
import { Ring } from "../../src/ring/Ring.ts"
import { a, b, settle } from "../coordinator/requests.ts"
import { stranger } from "../gossip/messages.ts"

const member = (name: string, changes?: { liveness?: Liveness; vnodes?: number; address?: string }): Member => ({
  record: {
    ...stranger,
    nodeId: NodeId.make(name),
    address: changes?.address ?? `${name}:8080`,
    vnodes: changes?.vnodes ?? 100
  },
  liveness: changes?.liveness ?? "up",
  heardAtMillis: 0
})

const withMembers = Effect.fnUntraced(function*(initial: ReadonlyArray<Member>) {
  const members = yield* SubscriptionRef.make(initial)
  const gossip = Layer.mock(Gossip, {
    self: a,
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

describe("Ring", () => {
  it.effect("holds the members that gossip knows from the first moment", () =>
    Effect.gen(function*() {
      const { ring } = yield* withMembers([member("b"), member("a")])
      assert.strictEqual(ring.current().epoch, 1)
      assert.deepStrictEqual(ring.current().nodes, [a, b])
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

  it.effect("gives a key the list of its partition, of N nodes", () =>
    Effect.gen(function*() {
      const { ring } = yield* withMembers(["a", "b", "c", "d"].map((name) => member(name)))
      for (const name of ["users/42", "ключ", "x"]) {
        const key = Key.make(name)
        const list = ring.preferenceList(key)
        assert.strictEqual(list, ring.current().preferenceLists[ring.partitionOf(key)])
        assert.strictEqual(list.length, 3)
      }
    }))
})
