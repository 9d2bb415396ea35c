import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { SimulatedNode } from "../../src/simulation/SimulatedNode.ts"
import { TestCluster } from "../../src/simulation/TestCluster.ts"

const three = (options: Partial<ConstructorParameters<typeof TestCluster>[0]> = {}) => {
  const cluster = TestCluster.started({ nodes: 3, seed: 1, ...options })
  const [node1, node2, node3] = cluster.nodes as [SimulatedNode, SimulatedNode, SimulatedNode]
  return { cluster, node1, node2, node3 }
}

describe("a cluster in the hands of a test", () => {
  it("throws what an operation fails with, and what does not come to pass", () => {
    const { cluster, node1, node2, node3 } = three()
    cluster.losePower(node2, node3)
    assert.throws(() => node1.put("k", "v"), /replicas/)
    assert.throws(() => node2.put("k", "v"), "node2 does not run")
    assert.throws(() => cluster.until(() => false, "pigs fly"), "seed 1: after 2m still not: pigs fly")
    assert.throws(() => node1.run(Effect.never), "node1 does not answer within 1m")
  })

  it("throws why a node does not start", () => {
    const { cluster, node1 } = three()
    cluster.kill(node1)
    node1.damage("data/identity.json", 0)
    assert.throws(() => cluster.start(node1), "identity.json")
  })

  it("a machine that loses power loses what a process that had died on it had not synced, and that is noticed", () => {
    const after = (power: boolean) => {
      const { cluster, node1, node2, node3 } = three({ settings: { fsync: "never" } })
      for (let index = 0; index < 20; index++) node1.put(`k${index}`, "v", { w: 1 })
      cluster.kill(node1)
      if (power) cluster.losePower(node1)
      cluster.cut(node1, node2)
      cluster.cut(node1, node3)
      cluster.start(node1)
      const kept = node1.contents().length
      assert.lengthOf(cluster.forgotten, 20 - kept)
      return kept
    }
    assert.strictEqual(after(false), 20)
    assert.isBelow(after(true), 20)
  })
})
