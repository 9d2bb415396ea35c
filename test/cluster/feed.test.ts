/** The feed of a node's store reports every cell, whichever path brought it. */
import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import { Key } from "../../src/domain/Key.ts"
import { NodeId } from "../../src/domain/NodeId.ts"
import { Incarnation } from "../../src/domain/Version.ts"
import type { SimulatedNode } from "../../src/simulation/SimulatedNode.ts"
import { restart, three } from "./three.ts"

const cell = (name: string, counter: number): Cell => ({
  key: Key.make(name),
  version: { counter, nodeId: NodeId.make("node1"), incarnation: Incarnation.make("0123456789ab") },
  value: { bytes: new TextEncoder().encode(`${name} `.repeat(400)), contentType: "text/plain" }
})

/** Nothing arrives by another path than the one under test. */
const quiet = { comparisonInterval: Duration.hours(10) }

const told = (node: SimulatedNode) => node.follower!.seen.Applied

/** The follower of the node has had this many changes since, and has what the store has. */
const assertTold = (node: SimulatedNode, before: number, changes: number) => {
  assert.isUndefined(node.run(node.follower!.check))
  assert.strictEqual(told(node) - before, changes)
}

describe("the feed of a node's store tells", () => {
  it("what clients write, through this node or another", () => {
    const { cluster, node1, node2 } = three(1, { settings: quiet })
    const before = cluster.nodes.map(told)
    node1.put("a", "1")
    node2.delete("a")
    cluster.until(() => cluster.isInSync(), "everybody holds it")
    cluster.nodes.forEach((node, index) => assertTold(node, before[index]!, 2))
  })

  it("hints that are delivered", () => {
    const { cluster, node1, node3 } = three(2, { settings: quiet })
    cluster.losePower(node3)
    cluster.until(() => node1.sees(node3) === "down", "node3 is down")
    node1.put("a", "1")
    cluster.start(node3)
    const before = told(node3)
    cluster.until(() => node3.contents().length === 1, "the hint is delivered")
    assertTold(node3, before, 1)
  })

  it("read repair", () => {
    const { node1, node2, node3 } = three(3, { settings: quiet })
    for (const node of [node1, node2]) node.run(node.storage.apply([cell("a", 1)]))
    const before = told(node3)
    node1.get("a", { r: 3 })
    assert.strictEqual(node1.ask(node1.replicator.status)!.readRepairs, 1)
    assertTold(node3, before, 1)
  })

  it("comparisons", () => {
    const { cluster, node1, node3 } = three(4, { settings: { comparisonInterval: Duration.seconds(15) } })
    node1.run(node1.storage.apply([cell("a", 1), cell("b", 1)]))
    const before = told(node3)
    cluster.until(() => cluster.isInSync(), "a comparison has found the difference")
    assertTold(node3, before, 2)
  })

  it("what damage took, and what other replicas give back", () => {
    const { cluster, node1, node2 } = three(5, { settings: quiet })
    const cells = Array.from({ length: 20 }, (_, index) => cell(`key-${index + 10}`, index + 1))
    for (const node of cluster.nodes) node.run(node.storage.apply(cells))
    node1.run(node1.storage.flush)
    const path = Array.from(node1.disk.files().keys()).find((path) => path.endsWith(".sst"))!
    node1.damage(path, 5000)
    restart(cluster, node1)
    cluster.until(() => node2.sees(node1) === "up", "node1 is back")
    const before = told(node1)
    node1.run(node1.storage.verify)
    cluster.until(() => node1.ask(node1.replicator.status)!.lostRanges.rangesFilled === 1, "node1 has them back")
    const { cellsGivenBack } = node1.ask(node1.replicator.status)!.lostRanges
    assert.isAbove(cellsGivenBack, 0)
    assert.strictEqual(node1.follower!.seen.Lost, 1)
    assertTold(node1, before, cellsGivenBack)
  })
})
