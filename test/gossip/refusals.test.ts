/** Nodes that are refused, and records that are not believed. */
import { assert, describe, it } from "@effect/vitest"
import { protocolVersion } from "../../src/peer/PeerProtocol.ts"
import { knownTo, recordIn, settled } from "./alone.ts"
import { messageFrom, stranger } from "./messages.ts"

describe("Gossip: who is refused", () => {
  it("two nodes of one name: the second is refused by the first and by a node that knows the first to be up", () => {
    const { cluster, node1, node2 } = settled(2)
    const second = cluster.add(1, { name: "second", address: "second:8080" })
    second.settings = { seeds: [node1.address, node2.address] }
    cluster.start(second)
    cluster.pass("20 seconds")
    assert.deepStrictEqual(knownTo(second), [node1.id])
    for (const node of [node1, node2]) {
      assert.strictEqual(node.gossip.address(node1.id), node1.address)
      assert.strictEqual(node.sees(node1), "up")
    }
    assert.lengthOf(cluster.alarms, 4)
    for (const { text } of cluster.alarms) assert.include(text, "two nodes are called node1")
  })

  it("a node whose settings differ is refused, and each side says so once", () => {
    const { cluster, node1 } = settled(1)
    const other = cluster.add(6, { clusterSettings: { writeQuorum: 1 } })
    other.settings = { seeds: [node1.address] }
    cluster.start(other)
    cluster.pass("1 minute")
    assert.deepStrictEqual(knownTo(other), [other.id])
    assert.deepStrictEqual(knownTo(node1), [node1.id])
    assert.lengthOf(cluster.alarms, 2)
    for (const { text } of cluster.alarms) {
      assert.match(text, /WRITE_QUORUM is (2 on node1 and 1 on node6|1 on node6 and 2 on node1): nodes .* must agree/)
    }
  })

  it("a message of another protocol is refused", () => {
    const { node1 } = settled(1)
    const refused = node1.failure(
      node1.gossip.receive(messageFrom(stranger, { protocol: protocolVersion + 1 }))
    )
    assert.include(refused.message, `protocol ${protocolVersion + 1}`)
    assert.lengthOf(knownTo(node1), 1)
  })

  it("a record that is absurdly far ahead of the known one is ignored, of the receiver and of others", () => {
    const { node1, node2, node3 } = settled(3)
    const own = recordIn(node1, node1)
    const tell = (generation: number) => {
      const records = [node1, node3].map((node) => ({
        ...recordIn(node1, node),
        generation,
        address: "elsewhere:1"
      }))
      node1.run(node1.gossip.receive(messageFrom(recordIn(node1, node2), { records, accused: records })))
    }
    for (const generation of [Number.MAX_SAFE_INTEGER, 2 ** 48, own.generation + 2 ** 20 + 1]) {
      const { heartbeat } = recordIn(node1, node1)
      tell(generation)
      assert.deepStrictEqual(recordIn(node1, node1), { ...own, heartbeat }, "it is not worth a refutation")
      assert.strictEqual(recordIn(node1, node3).address, node3.address)
    }
    tell(own.generation + 2 ** 20)
    assert.strictEqual(recordIn(node1, node1).generation, own.generation + 2 ** 20 + 1)
    assert.strictEqual(recordIn(node1, node1).address, node1.address)
    assert.strictEqual(recordIn(node1, node3).address, "elsewhere:1")
  })

  it("a node that meets itself under another name learns nothing and is not alarmed", () => {
    const { cluster, node1 } = settled(1)
    assert.deepStrictEqual(node1.run(node1.gossip.receive(messageFrom(recordIn(node1, node1)))), {
      protocol: protocolVersion,
      records: [],
      wanted: []
    })
    assert.deepStrictEqual(cluster.alarms, [])
  })
})
