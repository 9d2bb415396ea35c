/** Membership: how nodes learn of each other and remember each other. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import * as SeededRandom from "../../src/domain/SeededRandom.ts"
import * as MembersFile from "../../src/gossip/MembersFile.ts"
import { knownTo, listen, livenessIn, recordIn, roundMillis, running, settled, stopped } from "./alone.ts"
import { messageFrom, stranger } from "./messages.ts"

const seeds = Array.from({ length: 10 }, (_, index) => index + 1)

describe("Gossip: membership", () => {
  it("a new node is known to all of five nodes, and knows all, after a few message delays", () => {
    const { cluster, node5 } = settled(4)
    cluster.start(node5)
    cluster.pass(6)
    for (const node of cluster.nodes) assert.lengthOf(knownTo(node), 5)
  })

  for (const seed of seeds) {
    it(`a new node that reaches only its seed, and whose seed's pushes are lost, is known to all within three rounds (seed ${seed})`, () => {
      const { cluster, node1, node2, node3, node4, node5 } = settled(4, seed)
      const others = [node2, node3, node4]
      for (const other of others) {
        cluster.network.cut("node1", other.name)
        cluster.network.cut("node5", other.name)
      }
      node5.settings = { seeds: [node1.address] }
      cluster.start(node5)
      cluster.pass(50)
      for (const other of others) assert.notInclude(knownTo(other), node5.id)
      for (const other of others) cluster.network.mend("node1", other.name)
      cluster.pass(3 * roundMillis)
      for (const node of cluster.nodes) assert.lengthOf(knownTo(node), 5)
    })
  }

  it("nodes that start together and name each other as seeds find each other at once", () => {
    const { cluster, node1, node2, node3 } = stopped(1)
    cluster.start(node1, node2, node3)
    cluster.pass("1 second")
    for (const node of running(cluster)) assert.lengthOf(knownTo(node), 3)
  })

  it("a node alone asks its seeds four times as often, and each known peer only once a round", () => {
    const { cluster, node1, node2 } = stopped(1)
    const { gossip } = listen(cluster)
    cluster.start(node1)
    cluster.pass("20 seconds")
    assert.isAtLeast(gossip.length, 36)
    assert.isAtMost(gossip.length, 45)
    node2.settings = { seeds: [] }
    cluster.start(node2)
    cluster.pass("1 second")
    gossip.length = 0
    cluster.pass("20 seconds")
    const exchanges = gossip.filter(({ message }) => message.digests.length > 0)
    assert.isAtLeast(exchanges.length, 18)
    assert.isAtMost(exchanges.length, 23)
  })

  it("an exchange moves only what one side lacks, never the whole map", () => {
    const { cluster } = settled(5)
    const { gossip } = listen(cluster)
    cluster.pass("20 seconds")
    assert.isAbove(gossip.length, 100)
    const carried = gossip.reduce((sum, { message }) => sum + message.records.length, 0)
    assert.isBelow(carried, 2 * gossip.length)
    for (const { message } of gossip) assert.isTrue(message.digests.length === 0 || message.records.length === 0)
  })

  it("a restarted node knows its ring at once, even when everybody else is down", () => {
    const { cluster, node1, node2, node3 } = settled(3)
    cluster.kill(node1, node2, node3)
    node2.settings = { seeds: [] }
    cluster.start(node2)
    assert.deepStrictEqual(knownTo(node2), [node1.id, node2.id, node3.id])
    assert.strictEqual(node2.gossip.address(node3.id), node3.address)
    cluster.pass("15 seconds")
    assert.deepStrictEqual(livenessIn(node2), ["down", "up", "down"])
    assert.lengthOf(knownTo(node2), 3)
  })

  it("members are written when they change, not with each heartbeat, and again after a failure", () => {
    const { cluster, node1, node3, node4 } = settled(3)
    const renames = node1.disk.count("rename")
    cluster.pass("1 minute")
    cluster.kill(node3)
    cluster.pass("15 seconds")
    assert.strictEqual(node1.sees(node3), "down")
    assert.strictEqual(node1.disk.count("rename"), renames)
    node1.disk.failNext("append", "members.json")
    cluster.start(node4)
    cluster.pass("1 second")
    const inFile = () => new TextDecoder().decode(node1.disk.files().get("data/members.json"))
    assert.notInclude(inFile(), "node4")
    cluster.pass("10 seconds")
    assert.include(inFile(), "node4")
  })

  it("a damaged members.json stops the node instead of giving it a smaller ring", () => {
    const { cluster, node1 } = settled(2)
    cluster.kill(node1)
    node1.damage("data/members.json", 0)
    assert.throws(() => cluster.start(node1), "members.json")
  })

  it("a members.json that could not be read back is not written", () => {
    const memory = DiskMemory.make(1)
    const save = (record: Partial<typeof stranger>) =>
      MembersFile.save(memory.disk, "data", [{ ...stranger, ...record }])
    Effect.runSync(save({}))
    for (const broken of [{ generation: 2 ** 53 }, { heartbeat: 2 ** 48 + 1 }, { vnodes: 0 }]) {
      assert.strictEqual(Effect.runSync(Effect.flip(save(broken)))._tag, "Corruption")
    }
    assert.deepStrictEqual(Effect.runSync(MembersFile.load(memory.disk, "data")), [stranger])
  })

  it("a node that lost its disk raises its generation above the one that others remember", () => {
    const { cluster, node1, node3 } = settled(3)
    for (let start = 2; start <= 4; start++) {
      cluster.kill(node3)
      cluster.start(node3)
      cluster.pass("3 seconds")
    }
    const before = recordIn(node1, node3)
    assert.strictEqual(before.generation, 4)
    cluster.loseDisk(node3)
    cluster.start(node3)
    cluster.pass("1 second")
    for (const node of running(cluster)) {
      const after = recordIn(node, node3)
      assert.strictEqual(after.generation, 5)
      assert.notStrictEqual(after.incarnation, before.incarnation)
      assert.strictEqual(node.sees(node3), "up")
    }
  })

  it("a node whose generation others raised far is above it after a restart, however often they did", () => {
    const { cluster, node1, node2 } = settled(2)
    for (let leap = 0; leap < 3; leap++) {
      const own = recordIn(node1, node1)
      const records = [{ ...own, generation: own.generation + 2 ** 20 }]
      node1.run(node1.gossip.receive(messageFrom(recordIn(node1, node2), { records })))
    }
    const before = recordIn(node1, node1).generation
    cluster.pass("10 seconds")
    cluster.kill(node1)
    cluster.start(node1)
    cluster.pass("1 second")
    for (const node of running(cluster)) {
      assert.strictEqual(recordIn(node, node1).generation, before + 1)
      assert.strictEqual(node.sees(node1), "up")
    }
  })

  it("a node that returns at another address is reached there", () => {
    const { cluster, node3 } = settled(3)
    cluster.kill(node3)
    const moved = cluster.add(3, { name: "moved", address: "elsewhere:9000", disk: node3.disk })
    cluster.start(moved)
    cluster.pass("1 second")
    for (const node of running(cluster)) assert.strictEqual(node.gossip.address(moved.id), "elsewhere:9000")
  })

  it("a newcomer learns how far the others' Lamport clocks are", () => {
    const { cluster, node1, node2, node3 } = stopped(1)
    cluster.start(node1)
    node1.lamportClock.observe(41)
    cluster.start(node2)
    node2.lamportClock.observe(99)
    cluster.pass("5 seconds")
    cluster.start(node3)
    assert.strictEqual(node3.lamportClock.current(), 0)
    cluster.pass("5 seconds")
    assert.strictEqual(node3.lamportClock.current(), 99)
  })

  it("changes are published at once to a new subscriber, then only when something but a heartbeat changed", () => {
    const { cluster, node1, node4 } = settled(3)
    let seen = 0
    node1.begin(Stream.runForEach(node1.gossip.changes, () => Effect.sync(() => seen++)))
    cluster.pass("1 minute")
    assert.strictEqual(seen, 1)
    cluster.start(node4)
    cluster.pass("3 seconds")
    assert.strictEqual(seen, 2)
  })

  for (const seed of seeds) {
    it(`after stops, pauses, restarts and cuts everybody agrees on everybody (seed ${seed})`, () => {
      const { cluster } = stopped(seed)
      const random = SeededRandom.make(seed)
      const paused = new Set<string>()
      for (let step = 0; step < 40; step++) {
        const [node, other] = [random.pick(cluster.nodes), random.pick(cluster.nodes)]
        const chance = random.next()
        if (node.process === undefined) cluster.start(node)
        else if (paused.delete(node.name)) node.process.resume()
        else if (chance < 0.3) cluster.kill(node)
        else if (chance < 0.6) {
          node.process.pause()
          paused.add(node.name)
        } else if (chance < 0.9) cluster.network.cut(node.name, other.name)
        else cluster.heal()
        cluster.pass(random.between(10, 8_000))
      }
      cluster.heal()
      for (const node of cluster.nodes) {
        if (node.process === undefined) cluster.start(node)
        else node.process.resume()
      }
      cluster.pass("15 seconds")
      const faces = cluster.nodes.map((node) =>
        node.gossip.members().map(({ liveness, record: { address, generation, incarnation, nodeId } }) => ({
          nodeId,
          address,
          generation,
          incarnation,
          liveness
        }))
      )
      assert.deepStrictEqual(faces[0]!.map(({ liveness }) => liveness), ["up", "up", "up", "up", "up"])
      for (const face of faces) assert.deepStrictEqual(face, faces[0]!)
    })
  }
})
