/** Each promise of the store, shown by hand on whole clusters; the simulator tries the same under faults by chance. */
import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import { Key } from "../../src/domain/Key.ts"
import type { SimulatedNode } from "../../src/simulation/SimulatedNode.ts"
import { isRecovering, restart, started, three } from "./three.ts"

const key = Key.make("k")
const value = (text: string) => ({ bytes: new TextEncoder().encode(text), contentType: "text/plain" })

const putMany = (nodes: ReadonlyArray<SimulatedNode>, count: number) => {
  for (let index = 0; index < count; index++) nodes[index % nodes.length]!.put(`key-${index}`, `value ${index}`)
}

describe("quorum-read", () => {
  it("a write through one node is read through every other", () => {
    const { cluster, node1 } = three(1)
    assert.deepInclude(node1.put("users/42", "Ada"), { replaced: false })
    for (const node of cluster.nodes) assert.strictEqual(node.get("users/42"), "Ada")
  })

  it("a write over a live value says that it replaced one, a write over a tombstone that it did not", () => {
    const { node1, node2 } = three(2)
    node1.put("k", "first")
    assert.isTrue(node2.put("k", "second").replaced)
    node1.delete("k")
    assert.isUndefined(node2.get("k"))
    assert.isFalse(node2.put("k", "third").replaced)
  })

  it("a node that is no replica of the key answers for it all the same", () => {
    const { nodes } = started({ nodes: 5, seed: 3 })
    putMany(nodes, 20)
    for (const node of nodes) {
      for (let index = 0; index < 20; index++) assert.strictEqual(node.get(`key-${index}`), `value ${index}`)
    }
  })
})

describe("ordered-ack", () => {
  it("a write through a node whose clock is behind wins over the one acknowledged before it", () => {
    const { cluster, node1, node2, node3 } = three(4)
    // node2 neither coordinates nor hears of node1's many writes, so its clock stays behind.
    cluster.cut(node1, node2)
    cluster.cut(node3, node2)
    for (let index = 0; index < 30; index++) node1.put("k", `node1 ${index}`)
    cluster.heal()
    assert.isAbove(node2.put("k", "node2 at last").version.counter, 30)
    for (const node of cluster.nodes) assert.strictEqual(node.get("k"), "node2 at last")
  })

  it("a node with a new data directory does not vouch for a write, so none loses to one from before", () => {
    const { cluster, node1, node2, node3 } = three(20)
    cluster.cut(node1, node3)
    cluster.cut(node2, node3)
    for (let index = 0; index < 30; index++) node1.put("k", `first ${index}`)
    cluster.loseDisk(node2)
    cluster.heal()
    cluster.cut(node1, node2)
    cluster.cut(node1, node3)
    cluster.start(node2)
    cluster.until(() => node3.sees(node2) === "up", "node3 knows node2 again")
    const { failures } = node3.failure(node3.coordinator.put(key, value("second")))
    assert.deepInclude(failures, { node: node2.id, reason: "recovering" })
    cluster.heal()
    cluster.until(() => !isRecovering(node2), "node2 has recovered")
    node3.put("k", "third")
    for (const node of cluster.nodes) assert.strictEqual(node.get("k"), "third")
  })
})

describe("monotonic-read", () => {
  it("what one quorum read returned is on enough replicas before it is returned", () => {
    const { cluster, node1, node2, node3 } = three(5)
    const { version } = node1.put("k", "old")
    cluster.until(() => cluster.isInSync(), "everybody holds the old value")
    // Only node3 has the new value, as after a write that failed.
    node3.run(node3.storage.apply([{ key, version: { ...version, counter: 1_000 }, value: value("new") }]))
    assert.strictEqual(node3.get("k"), "new")
    cluster.losePower(node3)
    assert.strictEqual(node1.get("k"), "new")
    assert.strictEqual(node2.get("k"), "new")
  })
})

describe("availability", () => {
  it("with one node down every operation succeeds, before and after it is known to be down", () => {
    const { cluster, node1, node2, node3 } = three(6)
    cluster.losePower(node2)
    node1.put("a", "right after")
    assert.strictEqual(node3.get("a"), "right after")
    cluster.until(() => node1.sees(node2) === "down", "node1 holds node2 for down")
    node1.put("b", "much later")
    assert.strictEqual(node3.get("b"), "much later")
  })

  it("a node that is cut off silently slows nobody down by more than one attempt", () => {
    const { cluster, node1, node2, node3 } = three(7)
    cluster.cut(node1, node2)
    const before = cluster.nowMillis()
    node1.put("a", "1")
    assert.strictEqual(node1.get("a"), "1")
    assert.strictEqual(node3.get("a"), "1")
    assert.isAtMost(cluster.nowMillis() - before, 1_200)
  })

  it("with two nodes down a write fails at once, says what was missing, and that nothing was applied", () => {
    const { cluster, node1, node2, node3 } = three(8)
    cluster.losePower(node2, node3)
    cluster.until(() => node1.sees(node2) === "down" && node1.sees(node3) === "down", "both are down for node1")
    const before = cluster.nowMillis()
    const failure = node1.failure(node1.coordinator.put(key, value("v")))
    assert.deepInclude(failure, { wanted: 2, got: 0, replicas: 3, outcome: "not-applied" })
    assert.sameDeepMembers([...failure.failures], [
      { node: node2.id, reason: "down" },
      { node: node3.id, reason: "down" }
    ])
    assert.deepInclude(node1.failure(node1.coordinator.get(key)), { wanted: 2, replicas: 3 })
    assert.strictEqual(cluster.nowMillis(), before)
    assert.isUndefined(node1.run(node1.storage.version(key)))
  })

  it("a write that reached one replica before the quorum was lost says that its outcome is unknown", () => {
    const { cluster, node1, node2, node3 } = three(9)
    cluster.losePower(node2, node3)
    const failure = node1.failure(node1.coordinator.put(key, value("v")))
    assert.deepInclude(failure, { wanted: 2, replicas: 3, outcome: "unknown" })
  })
})

describe("outcome", () => {
  it("is unknown, not not-applied, when the second stamp of a write that was sent cannot be had", () => {
    const { cluster, node1, node2 } = three(21)
    const { version } = node1.put("a", "x")
    cluster.pass("1 second")
    node2.run(node2.storage.apply([
      { key, version: { ...version, counter: 150_000, nodeId: node2.id }, value: value("newer") }
    ]))
    node1.disk.failNext("openAppend", "clock.json", "full")
    assert.strictEqual(node1.failure(node1.coordinator.put(key, value("mine"), { w: 3 })).outcome, "unknown")
  })
})

describe("durable-ack", () => {
  it("every acknowledged write survives a power cut of all nodes at once", () => {
    const { cluster, node1, node2, node3 } = three(10)
    putMany(cluster.nodes, 40)
    restart(cluster, node1, node2, node3)
    cluster.until(() => node1.sees(node2) === "up" && node1.sees(node3) === "up", "they meet again")
    for (let index = 0; index < 40; index++) {
      assert.strictEqual(cluster.nodes[(index + 1) % 3]!.get(`key-${index}`), `value ${index}`)
    }
  })

  it("no version is issued twice, however much a crash took away", () => {
    const { cluster, node1, node2 } = three(11)
    const seen = new Set<string>()
    for (let round = 0; round < 4; round++) {
      for (let index = 0; index < 5; index++) {
        const { version: { counter, incarnation, nodeId } } = node1.put(`key-${index}`, `round ${round}`)
        seen.add(`${counter} ${nodeId} ${incarnation}`)
      }
      restart(cluster, node1)
      cluster.until(() => node1.sees(node2) === "up", "node1 is back")
    }
    assert.strictEqual(seen.size, 20)
  })
})

describe("convergence", () => {
  it("a node that was away holds everything soon after its return, though no client touches it", () => {
    const { cluster, node1, node2 } = three(12)
    node1.put("before", "1")
    cluster.losePower(node2)
    cluster.until(() => node1.sees(node2) === "down", "node2 is down")
    putMany([node1], 50)
    node1.delete("before")
    cluster.start(node2)
    cluster.until(() => cluster.isInSync(), "all hold the same")
    assert.lengthOf(node2.contents(), 51)
    assert.strictEqual(node2.get("key-7", { r: 1 }), "value 7")
  })

  it("where no hint was kept, the comparison of partitions makes up for it", () => {
    const { cluster, node1, node2 } = three(13, { settings: { hintsBytesMaxPerPeer: 1 } })
    cluster.losePower(node2)
    putMany([node1], 50)
    cluster.start(node2)
    cluster.until(() => cluster.isInSync(), "all hold the same")
    assert.lengthOf(node2.contents(), 50)
  })

  it("a node that was cut off, but never stopped, catches up too", () => {
    const { cluster, node1, node2, node3 } = three(14, { settings: { hintsBytesMaxPerPeer: 1 } })
    cluster.cut(node1, node2)
    cluster.cut(node3, node2)
    cluster.until(() => node1.sees(node2) === "down", "node2 is down")
    putMany([node1], 20)
    cluster.heal()
    cluster.until(() => cluster.isInSync(), "all hold the same")
    assert.lengthOf(node2.contents(), 20)
  })

  it("a coordinator that dies with its hints leaves nothing unequal for long", () => {
    const { cluster, node1, node2 } = three(15)
    cluster.cut(node1, node2)
    node1.put("k", "v")
    cluster.losePower(node1)
    cluster.heal()
    cluster.start(node1)
    cluster.until(() => cluster.isInSync(), "all hold the same")
    assert.lengthOf(node2.contents(), 1)
  })

  it("a node whose disk was full catches up when space returns", () => {
    const { cluster, node1, node2 } = three(16)
    node2.fillDisk(true)
    putMany([node1], 20)
    assert.strictEqual(node2.get("key-3"), "value 3")
    node2.fillDisk(false)
    cluster.until(() => cluster.isInSync(), "all hold the same")
    assert.lengthOf(node2.contents(), 20)
  })
})

describe("no-resurrection", () => {
  it("a node that returns late does not bring a deleted key back", () => {
    const { cluster, node1, node2 } = three(17)
    node1.put("k", "v", { w: 3 })
    cluster.losePower(node2)
    node1.delete("k")
    cluster.start(node2)
    cluster.until(() => cluster.isInSync(), "all hold the same")
    for (const node of cluster.nodes) assert.isUndefined(node.get("k"))
  })
})

describe("a node that lost its disk", () => {
  it("answers no reads before it has compared with every replica, then holds everything, under a new incarnation", () => {
    const { cluster, node1, node2, node3 } = three(18)
    const before = node2.put("mine", "v").version
    putMany([node1], 30)
    cluster.loseDisk(node2)
    cluster.cut(node2, node3)
    cluster.start(node2)
    cluster.until(() => node2.sees(node1) === "up", "node2 knows node1")
    cluster.pass("5 seconds")
    // One of the two replicas is out of reach, and may alone have a write that node2 once acknowledged.
    assert.isTrue(isRecovering(node2))
    assert.strictEqual(node2.failure(node2.replicator.answer([{ key, full: true }])).reason, "recovering")
    cluster.heal()
    cluster.until(() => !isRecovering(node2), "node2 has recovered")
    assert.lengthOf(node2.contents(), 31)
    const after = node2.put("mine", "w").version
    assert.notStrictEqual(after.incarnation, before.incarnation)
    assert.isAbove(after.counter, before.counter)
  })
})

describe("a client that goes away", () => {
  it("leaves its write to reach the other replicas, or to become a hint", () => {
    const { cluster, node1, node2, node3 } = three(22)
    cluster.cut(node1, node2)
    cluster.cut(node1, node3)
    const writing = node1.begin(node1.coordinator.put(key, value("v")))
    cluster.pass("100 millis")
    writing.interruptUnsafe()
    cluster.pass("1 second")
    const { hints } = node1.ask(node1.replicator.status)!
    assert.sameDeepMembers(hints.map(({ peer, pending }) => [peer, pending]), [[node2.id, 1], [node3.id, 1]])
  })

  it("takes its waiting reads along", () => {
    const { cluster, node1, node2, node3 } = three(19)
    node1.put("k", "v")
    cluster.cut(node1, node2)
    cluster.cut(node1, node3)
    const reading = node1.begin(node1.coordinator.get(key, { timeout: Duration.seconds(60) }))
    cluster.pass("10 millis")
    assert.isUndefined(reading.pollUnsafe())
    reading.interruptUnsafe()
    cluster.pass(0)
    assert.isDefined(reading.pollUnsafe())
  })
})
