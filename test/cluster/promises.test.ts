/**
 * Whole clusters by hand, where neither the simulator's seeds nor the tests of one service show it: `npm run simulate`
 * checks every promise under faults.
 */
import { assert, describe, it } from "@effect/vitest"
import { Key } from "../../src/domain/Key.ts"
import { three } from "./three.ts"

const key = Key.make("k")
const value = (text: string) => ({ bytes: new TextEncoder().encode(text), contentType: "text/plain" })

describe("a cluster", () => {
  it("reads through every node what was written through one, and says whether a write replaced a value", () => {
    const { cluster, node1, node2 } = three(2)
    assert.isFalse(node1.put("k", "first").replaced)
    for (const node of cluster.nodes) assert.strictEqual(node.get("k"), "first")
    assert.isTrue(node2.put("k", "second").replaced)
    node1.delete("k")
    assert.isUndefined(node2.get("k"))
    assert.isFalse(node2.put("k", "third").replaced)
  })

  it("slows nobody down by more than one attempt when a node is cut off silently", () => {
    const { cluster, node1, node2, node3 } = three(7)
    cluster.cut(node1, node2)
    const before = cluster.nowMillis()
    node1.put("a", "1")
    assert.strictEqual(node1.get("a"), "1")
    assert.strictEqual(node3.get("a"), "1")
    assert.isAtMost(cluster.nowMillis() - before, 1_200)
  })

  it("says that an outcome is unknown, not not-applied, when a write that was sent cannot be stamped again", () => {
    const { cluster, node1, node2 } = three(21)
    const { version } = node1.put("a", "x")
    cluster.pass("1 second")
    node2.run(node2.storage.apply([
      { key, version: { ...version, counter: 150_000, nodeId: node2.id }, value: value("newer") }
    ]))
    node1.disk.failNext("openAppend", "clock.json", "full")
    assert.strictEqual(node1.failure(node1.coordinator.put(key, value("mine"), { w: 3 })).outcome, "unknown")
  })

  it("reads nothing from a node that lost its disk before it has compared with every replica", () => {
    const { cluster, node1, node2, node3 } = three(18)
    const before = node2.put("mine", "v").version
    for (let index = 0; index < 30; index++) node1.put(`key-${index}`, "v")
    cluster.loseDisk(node2)
    cluster.cut(node2, node3)
    cluster.start(node2)
    cluster.until(() => node2.sees(node1) === "up", "node2 knows node1")
    cluster.pass("5 seconds")
    // One of the two replicas is out of reach, and may alone have a write that node2 once acknowledged.
    const isRecovering = () => node2.ask(node2.replicator.status)!.recovering
    assert.isTrue(isRecovering())
    assert.strictEqual(node2.failure(node2.replicator.answer([{ key, full: true }])).reason, "recovering")
    cluster.heal()
    cluster.until(() => !isRecovering(), "node2 has recovered")
    assert.lengthOf(node2.contents(), 31)
    const after = node2.put("mine", "w").version
    assert.notStrictEqual(after.incarnation, before.incarnation)
    assert.isAbove(after.counter, before.counter)
  })
})
