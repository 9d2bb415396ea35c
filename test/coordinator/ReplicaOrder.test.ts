import { assert, describe, it } from "@effect/vitest"
import * as ReplicaOrder from "../../src/coordinator/ReplicaOrder.ts"
import type { NodeId } from "../../src/domain/NodeId.ts"
import type { Liveness } from "../../src/gossip/Gossip.ts"
import { a, b, c, d } from "./requests.ts"

const livenessOf = (known: Partial<Record<string, Liveness>>) => (node: NodeId): Liveness => known[node] ?? "up"

/** Seen from `a`. The others are up unless said otherwise. */
const order = (
  present: ReadonlyArray<NodeId>,
  averages: Partial<Record<string, number>> = {},
  options?: { readonly liveness?: Partial<Record<string, Liveness>>; readonly turn?: number }
) =>
  ReplicaOrder.forReading(
    present,
    { self: a, liveness: livenessOf(options?.liveness ?? {}), averageMillis: (node) => averages[node] ?? 0 },
    options?.turn ?? 1
  )

describe("ReplicaOrder", () => {
  it("leaves out replicas that are known to be down, and asks suspect ones", () => {
    const liveness = livenessOf({ b: "down", c: "suspect" })
    assert.deepStrictEqual(ReplicaOrder.split([a, b, c], liveness), {
      present: [a, c],
      absent: [{ node: b, reason: "down" }]
    })
    assert.deepStrictEqual(ReplicaOrder.split([c], liveness), { present: [c], absent: [] })
    assert.deepStrictEqual(ReplicaOrder.split([b], liveness).present, [])
  })

  it("asks this node first, even when others are faster", () => {
    assert.deepStrictEqual(order([b, a, c], { a: 500 })[0], a)
  })

  it("asks faster replicas before slower ones, and suspect ones last", () => {
    const averages = { b: 30, c: 10, d: 20 }
    const liveness = { c: "suspect" } as const
    assert.deepStrictEqual(order([a, b, c, d], averages), [a, c, d, b])
    assert.deepStrictEqual(order([a, b, c, d], averages, { liveness }), [a, d, b, c])
    assert.deepStrictEqual(order([b, c], averages, { liveness }), [b, c])
  })

  it("keeps the ring's order among replicas that it knows nothing of", () => {
    assert.deepStrictEqual(order([d, c, b]), [d, c, b])
  })

  it("now and then asks the slowest replica early, or it would never be seen to have recovered", () => {
    const orders = (liveness: Partial<Record<string, Liveness>>) =>
      Array.from({ length: 64 }, (_, turn) => order([a, b, c], { b: 10, c: 20 }, { liveness, turn }).join(""))
    const found = orders({})
    assert.strictEqual(found.filter((text) => text === "acb").length, 2)
    assert.strictEqual(found.filter((text) => text === "abc").length, 62)
    assert.deepStrictEqual(new Set(orders({ c: "suspect" })), new Set(["abc"]))
  })
})
