import { assert, describe, it } from "@effect/vitest"
import { Exit } from "effect"
import * as ReplicaOrder from "../../src/coordinator/ReplicaOrder.ts"
import type { NodeId } from "../../src/domain/NodeId.ts"
import type { Gossip, Liveness } from "../../src/gossip/Gossip.ts"
import { mock } from "../replicator/fakes.ts"
import { a, b, c, d } from "./requests.ts"

/** Seen from `a`. The others are up unless said otherwise. */
const make = (liveness: Partial<Record<string, Liveness>> = {}) => {
  const gossip = mock<Gossip["Service"]>({ self: a, liveness: (node) => liveness[node] ?? "up" })
  const clock = { millis: 0 }
  const order = ReplicaOrder.make(gossip, () => clock.millis)
  /** As if a read of the node had taken so long. */
  const took = (node: NodeId, millis: number, exit: Exit.Exit<void, string> = Exit.void) => {
    const told: Array<unknown> = []
    const done = order.timed<void, string>(node, (exit) => told.push(exit))
    clock.millis += millis
    done(exit)
    assert.deepStrictEqual(told, [exit])
  }
  return { order, took, liveness }
}

describe("ReplicaOrder", () => {
  it("leaves out replicas that are known to be down, and asks suspect ones", () => {
    const { order } = make({ b: "down", c: "suspect" })
    assert.deepStrictEqual(order.split([a, b, c]), { present: [a, c], absent: [{ node: b, reason: "down" }] })
    assert.deepStrictEqual(order.split([c]), { present: [c], absent: [] })
    assert.deepStrictEqual(make({ a: "up", b: "down" }).order.split([b]).present, [])
  })

  it("asks this node first, however fast the others are", () => {
    const { order, took } = make()
    took(b, 0)
    assert.deepStrictEqual(order.forReading([b, a, c])[0], a)
  })

  it("asks faster replicas before slower ones, and suspect ones last", () => {
    const { liveness, order, took } = make()
    took(b, 30)
    took(c, 10)
    took(d, 20)
    assert.deepStrictEqual(order.forReading([a, b, c, d]), [a, c, d, b])
    liveness["c"] = "suspect"
    assert.deepStrictEqual(order.forReading([a, b, c, d]), [a, d, b, c])
    assert.deepStrictEqual(order.forReading([b, c]), [b, c])
  })

  it("keeps the ring's order among replicas that it knows nothing of", () => {
    assert.deepStrictEqual(make().order.forReading([d, c, b]), [d, c, b])
  })

  it("follows a change of speed slowly, so that one slow answer does not turn the order round", () => {
    const { order, took } = make()
    took(b, 10)
    took(c, 20)
    took(b, 50)
    assert.deepStrictEqual(order.forReading([b, c]), [b, c])
    for (let read = 0; read < 10; read++) took(b, 50)
    assert.deepStrictEqual(order.forReading([b, c]), [c, b])
  })

  it("now and then asks the slowest replica early, or it would never be seen to have recovered", () => {
    const { liveness, order, took } = make()
    took(b, 10)
    took(c, 20)
    const orders = () => Array.from({ length: 64 }, () => order.forReading([a, b, c]).join(""))
    const before = orders()
    assert.strictEqual(before.filter((text) => text === "acb").length, 2)
    assert.strictEqual(before.filter((text) => text === "abc").length, 62)
    liveness["c"] = "suspect"
    assert.deepStrictEqual(new Set(orders()), new Set(["abc"]))
  })

  it("does not take the time of this node's own reads, nor of failed ones", () => {
    const { order, took } = make()
    for (let read = 0; read < 64; read++) took(a, 500)
    took(b, 500, Exit.fail("no"))
    took(c, 1)
    assert.deepStrictEqual(order.forReading([c, b]), [b, c])
    assert.deepStrictEqual(order.hedgeAfterMillis(), make().order.hedgeAfterMillis())
  })

  it("measures for the hedge delay", () => {
    const { order, took } = make()
    for (let read = 0; read < 64; read++) took(b, 8)
    assert.strictEqual(order.hedgeAfterMillis(), 8)
  })
})
