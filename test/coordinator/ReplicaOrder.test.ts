import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import * as ReplicaOrder from "../../src/coordinator/ReplicaOrder.ts"
import type { NodeId } from "../../src/domain/NodeId.ts"
import type { Gossip, Liveness } from "../../src/gossip/Gossip.ts"
import { mock } from "../replicator/fakes.ts"
import { a, b, c, d } from "./requests.ts"

/** Seen from `a`. The others are up unless said otherwise. */
const make = (liveness: Partial<Record<string, Liveness>> = {}) => {
  const gossip = mock<Gossip["Service"]>({ self: a, liveness: (node) => liveness[node] ?? "up" })
  const order = ReplicaOrder.make(gossip)
  /** As if a read of the node had taken so long. */
  const took = (node: NodeId, millis: number) =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      yield* order.timed(node, clock, TestClock.adjust(millis))
    })
  return { order, took, liveness }
}

describe("ReplicaOrder", () => {
  it("leaves out replicas that are known to be down, and asks suspect ones", () => {
    const { order } = make({ b: "down", c: "suspect" })
    assert.deepStrictEqual(order.split([a, b, c]), { present: [a, c], absent: [{ node: b, reason: "down" }] })
    assert.deepStrictEqual(order.split([c]), { present: [c], absent: [] })
    assert.deepStrictEqual(make({ a: "up", b: "down" }).order.split([b]).present, [])
  })

  it.effect("asks this node first, however fast the others are", () =>
    Effect.gen(function*() {
      const { order, took } = make()
      yield* took(b, 0)
      assert.deepStrictEqual(order.forReading([b, a, c])[0], a)
    }))

  it.effect("asks faster replicas before slower ones, and suspect ones last", () =>
    Effect.gen(function*() {
      const { liveness, order, took } = make()
      yield* took(b, 30)
      yield* took(c, 10)
      yield* took(d, 20)
      assert.deepStrictEqual(order.forReading([a, b, c, d]), [a, c, d, b])
      liveness["c"] = "suspect"
      assert.deepStrictEqual(order.forReading([a, b, c, d]), [a, d, b, c])
      assert.deepStrictEqual(order.forReading([b, c]), [b, c])
    }))

  it.effect("keeps the ring's order among replicas that it knows nothing of", () =>
    Effect.sync(() => {
      assert.deepStrictEqual(make().order.forReading([d, c, b]), [d, c, b])
    }))

  it.effect("follows a change of speed slowly, so that one slow answer does not turn the order round", () =>
    Effect.gen(function*() {
      const { order, took } = make()
      yield* took(b, 10)
      yield* took(c, 20)
      yield* took(b, 50)
      assert.deepStrictEqual(order.forReading([b, c]), [b, c])
      for (let read = 0; read < 10; read++) yield* took(b, 50)
      assert.deepStrictEqual(order.forReading([b, c]), [c, b])
    }))

  it.effect("now and then asks the slowest replica early, or it would never be seen to have recovered", () =>
    Effect.gen(function*() {
      const { liveness, order, took } = make()
      yield* took(b, 10)
      yield* took(c, 20)
      const orders = () => Array.from({ length: 64 }, () => order.forReading([a, b, c]).join(""))
      const before = orders()
      assert.strictEqual(before.filter((text) => text === "acb").length, 2)
      assert.strictEqual(before.filter((text) => text === "abc").length, 62)
      liveness["c"] = "suspect"
      assert.deepStrictEqual(new Set(orders()), new Set(["abc"]))
    }))

  it.effect("does not take the time of this node's own reads, nor of failed ones", () =>
    Effect.gen(function*() {
      const { order, took } = make()
      const clock = yield* Clock.Clock
      for (let read = 0; read < 64; read++) yield* took(a, 500)
      yield* Effect.flip(order.timed(b, clock, Effect.andThen(TestClock.adjust(500), Effect.fail("no"))))
      yield* took(c, 1)
      assert.deepStrictEqual(order.forReading([c, b]), [b, c])
      assert.deepStrictEqual(order.hedgeAfter(), make().order.hedgeAfter())
    }))

  it.effect("measures for the hedge delay", () =>
    Effect.gen(function*() {
      const { order, took } = make()
      for (let read = 0; read < 64; read++) yield* took(b, 8)
      assert.strictEqual(Duration.toMillis(order.hedgeAfter()), 8)
    }))
})
