/** What a disk loses comes back from the other replicas. */
import { assert, describe, it } from "@effect/vitest"
import { Exit } from "effect"
import { Key } from "../../src/domain/Key.ts"
import type { SimulatedNode } from "../../src/simulation/SimulatedNode.ts"
import { isRecovering, restart, three } from "./three.ts"

const names = Array.from({ length: 40 }, (_, index) => `key-${String(index).padStart(2, "0")}`)
const valueOf = (name: string) => `${name} `.repeat(60)

/** Three nodes that hold the same in a table each, and what they hold. */
const filled = (seed: number) => {
  const { cluster, ...nodes } = three(seed)
  names.forEach((name, index) => cluster.nodes[index % 3]!.put(name, valueOf(name)))
  nodes.node1.delete("key-05")
  cluster.until(() => cluster.isInSync(), "everybody holds everything")
  for (const node of cluster.nodes) node.run(node.storage.flush)
  const before = nodes.node1.contents()
  assert.lengthOf(before, names.length)
  return { cluster, ...nodes, before }
}

const damage = (node: SimulatedNode, ending: string, ...offsets: ReadonlyArray<number>) => {
  const path = Array.from(node.disk.files().keys()).find((path) => path.endsWith(ending))!
  for (const offset of offsets) node.damage(path, offset)
}

const holesOf = (node: SimulatedNode) => node.ask(node.storage.stats)!.holes
const lostRangesOf = (node: SimulatedNode) => node.ask(node.replicator.status)!.lostRanges

const isWhole = (node: SimulatedNode) =>
  node.ask(node.storage.stats)!.damage === undefined && holesOf(node).length === 0

/** Reads everything, and so meets all damage. */
const scrub = (node: SimulatedNode) => node.run(node.storage.verify)

describe("repair", () => {
  for (
    const [what, ending, offsets] of [
      ["some blocks of a table", ".sst", [100, 9000]],
      ["the index of a table, which is all of it", ".idx", [100]]
    ] as const
  ) {
    it(`heals ${what}, byte for byte, while every read is answered`, () => {
      const { before, cluster, node1, node2 } = filled(1)
      damage(node1, ending, ...offsets)
      restart(cluster, node1)
      cluster.until(() => node2.sees(node1) === "up", "node1 is back")
      scrub(node1)
      cluster.until(() => holesOf(node1).length > 0, "the loss is noticed")
      for (const name of names) {
        for (const node of cluster.nodes) {
          assert.strictEqual(node.get(name), name === "key-05" ? undefined : valueOf(name))
        }
      }
      cluster.until(() => isWhole(node1), "node1 is whole")
      assert.deepStrictEqual(node1.contents(), before)
      assert.isAbove(lostRangesOf(node1).cellsGivenBack, 0)
      restart(cluster, node1)
      assert.isTrue(isWhole(node1))
      assert.deepStrictEqual(node1.contents(), before)
    })
  }

  it("waits for a replica that is down, fails meanwhile for what it lost alone, and ends when that one is back", () => {
    const { before, cluster, node1, node2, node3 } = filled(2)
    cluster.losePower(node3)
    damage(node1, ".sst", 100)
    restart(cluster, node1)
    scrub(node1)
    cluster.until(() => holesOf(node1).length > 0, "the loss is noticed")
    cluster.pass("1 minute")
    assert.deepInclude(lostRangesOf(node1), { state: "waiting", reason: "for node3, which is down" })
    const [hole] = holesOf(node1)
    const isLost = (name: string) => hole!.from <= name && name < hole!.to
    assert.isTrue(names.some(isLost) && !names.every(isLost))
    for (const name of names) {
      const answer = node2.attempt(node2.coordinator.get(Key.make(name)))
      assert.strictEqual(Exit.isFailure(answer!), isLost(name), name)
    }
    cluster.start(node3)
    cluster.until(() => isWhole(node1), "node1 is whole")
    assert.deepStrictEqual(node1.contents(), before)
  })

  it("does not take the word of a replica that has lost the same keys: both say so until an operator decides", () => {
    const { before, cluster, node1, node2 } = filled(3)
    for (const node of [node1, node2]) {
      damage(node, ".idx", 100)
      restart(cluster, node)
    }
    cluster.pass("2 minutes")
    for (const node of [node1, node2]) {
      assert.lengthOf(holesOf(node), 1)
      assert.strictEqual(lostRangesOf(node).state, "failed")
    }
    // node3 still has everything, so nothing is lost when one of them is told to give up what it had alone.
    node2.run(node2.storage.closeHoles(holesOf(node2)))
    cluster.until(() => isWhole(node1) && isWhole(node2), "both are whole")
    cluster.until(() => cluster.isInSync(), "they are in sync")
    assert.deepStrictEqual(node1.contents(), before)
  })

  it("a node with a new disk recovers only when the replica it compares with has got back what it lost", () => {
    const { before, cluster, node1, node2, node3 } = filled(4)
    damage(node1, ".sst", 100)
    cluster.loseDisk(node2)
    restart(cluster, node1)
    scrub(node1)
    cluster.start(node2)
    cluster.pass("2 minutes")
    // Neither can know what one of them had acknowledged and the other lost.
    assert.isTrue(isRecovering(node2))
    assert.strictEqual(lostRangesOf(node1).state, "failed")
    assert.lengthOf(holesOf(node1), 1)
    node1.run(node1.storage.closeHoles(holesOf(node1)))
    cluster.until(() => !isRecovering(node2), "node2 has recovered")
    cluster.until(() => cluster.isInSync(), "they are in sync")
    assert.deepStrictEqual(node3.contents(), before)
  })
})
