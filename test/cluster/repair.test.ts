/** A table that rots on one disk comes back from the other replicas. */
import { assert, describe, it } from "@effect/vitest"
import type { SimulatedNode } from "../../src/simulation/SimulatedNode.ts"
import { restart, three } from "./three.ts"

const names = Array.from({ length: 40 }, (_, index) => `key-${index + 10}`)
const valueOf = (name: string) => `${name} `.repeat(60)

const holesOf = (node: SimulatedNode) => node.ask(node.storage.stats)!.holes

const isWhole = (node: SimulatedNode) =>
  node.ask(node.storage.stats)!.damage === undefined && holesOf(node).length === 0

describe("repair", () => {
  it.each([
    ["some blocks of a table", ".sst", [100, 9000]],
    ["the index of a table, which is all of it", ".idx", [100]]
  ])("heals %s, byte for byte, while every read is answered", (_, ending, offsets) => {
    const { cluster, node1, node2 } = three(1)
    names.forEach((name, index) => cluster.nodes[index % 3]!.put(name, valueOf(name)))
    node1.delete("key-15")
    cluster.until(() => cluster.isInSync(), "everybody holds everything")
    for (const node of cluster.nodes) node.run(node.storage.flush)
    const before = node1.contents()
    assert.lengthOf(before, names.length)

    const path = Array.from(node1.disk.files().keys()).find((path) => path.endsWith(ending))!
    for (const offset of offsets) node1.damage(path, offset)
    restart(cluster, node1)
    cluster.until(() => node2.sees(node1) === "up", "node1 is back")
    // Reads everything, and so meets all damage.
    node1.run(node1.storage.verify)
    cluster.until(() => holesOf(node1).length > 0, "the loss is noticed")
    for (const name of names) {
      for (const node of cluster.nodes) {
        assert.strictEqual(node.get(name), name === "key-15" ? undefined : valueOf(name))
      }
    }
    cluster.until(() => isWhole(node1), "node1 is whole")
    assert.deepStrictEqual(node1.contents(), before)
    assert.isAbove(node1.ask(node1.replicator.status)!.lostRanges.cellsGivenBack, 0)
    restart(cluster, node1)
    assert.isTrue(isWhole(node1))
    assert.deepStrictEqual(node1.contents(), before)
  })
})
