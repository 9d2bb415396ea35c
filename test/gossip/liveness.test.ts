/** Who is alive, in the opinion of whole clusters. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import type { SimulatedNode } from "../../src/simulation/SimulatedNode.ts"
import { knownTo, listen, livenessIn, recordIn, roundMillis, running, settled, watch } from "./alone.ts"
import { messageFrom } from "./messages.ts"

const heardAtMillisIn = (node: SimulatedNode, { id }: SimulatedNode) =>
  node.gossip.members().find(({ record }) => record.nodeId === id)!.heardAtMillis

const names = (turns: ReadonlyArray<{ readonly liveness: string }>) => turns.map(({ liveness }) => liveness)

describe("Gossip: who is alive", () => {
  for (const seed of [1, 2, 3]) {
    it(`a stopped node is suspect, then down ten seconds after its last news, then up again after its return (seed ${seed})`, () => {
      const { cluster, node5 } = settled(5, seed)
      const opinions = cluster.nodes.slice(0, 4).map((node) => watch(cluster, node, node5))
      cluster.pass("30 seconds")
      for (const turns of opinions) assert.deepStrictEqual(names(turns), ["up"])
      const stoppedAtMillis = cluster.nowMillis()
      cluster.kill(node5)
      cluster.pass("15 seconds")
      for (const turns of opinions) {
        assert.deepStrictEqual(names(turns), ["up", "suspect", "down"])
        const [, suspect, down] = turns
        assert.isAbove(suspect!.atMillis, stoppedAtMillis)
        assert.isAtMost(suspect!.silentMillis, 3_250)
        assert.isAtLeast(down!.silentMillis, 10_000)
        assert.isAtMost(down!.silentMillis, 10_200)
      }
      cluster.pass("1 minute")
      cluster.start(node5)
      const returnedAtMillis = cluster.nowMillis()
      cluster.pass("10 seconds")
      for (const turns of opinions) {
        assert.deepStrictEqual(names(turns), ["up", "suspect", "down", "up"])
        assert.isAtMost(turns[3]!.atMillis - returnedAtMillis, 10)
      }
    })

    it(`a node that was paused refutes at once and accuses nobody (seed ${seed})`, () => {
      const { cluster, node5 } = settled(5, seed)
      const opinions = cluster.nodes.slice(0, 4).map((node) => watch(cluster, node, node5))
      const own = cluster.nodes.map((node) => watch(cluster, node5, node))
      node5.process!.pause()
      cluster.pass("30 seconds")
      for (const turns of opinions) assert.strictEqual(turns.at(-1)!.liveness, "down")
      const resumedAtMillis = cluster.nowMillis()
      node5.process!.resume()
      cluster.pass("20 seconds")
      for (const turns of opinions) {
        assert.deepStrictEqual(names(turns), ["up", "suspect", "down", "up"])
        assert.isAtMost(turns[3]!.atMillis - resumedAtMillis, roundMillis)
      }
      for (const turns of own) assert.deepStrictEqual(names(turns), ["up"])
    })
  }

  it("a node that stood still counts none of it as the others' silence", () => {
    const { cluster, node1, node2, node3 } = settled(3)
    const turns = watch(cluster, node1, node3)
    cluster.kill(node3)
    cluster.pass("5 seconds")
    assert.deepStrictEqual(names(turns), ["up", "suspect"])
    const silentMillis = cluster.nowMillis() - heardAtMillisIn(node1, node3)
    node1.process!.pause()
    cluster.pass("30 seconds")
    const resumedAtMillis = cluster.nowMillis()
    const { probes } = listen(cluster)
    node1.process!.resume()
    cluster.pass(0)
    assert.notInclude(probes, `node1>node2 ${node2.address}`)
    cluster.pass("10 seconds")
    assert.deepStrictEqual(names(turns), ["up", "suspect", "down"])
    // It looks every 200 ms, and cannot tell when between two looks it fell asleep.
    assert.isAtLeast(turns[2]!.atMillis - resumedAtMillis, 10_000 - silentMillis - 200)
  })

  it("two sides of a partition meet again by themselves when it heals", () => {
    const { cluster, node1, node2, node3 } = settled(3)
    cluster.kill(node3)
    node3.settings = { seeds: [] }
    cluster.start(node3)
    cluster.pass("5 seconds")
    cluster.cut(node1, node3)
    cluster.cut(node2, node3)
    cluster.pass("1 minute")
    assert.strictEqual(node1.sees(node3), "down")
    assert.strictEqual(node3.sees(node1), "down")
    cluster.heal()
    cluster.pass(roundMillis)
    for (const node of running(cluster)) assert.deepStrictEqual(livenessIn(node), ["up", "up", "up"])
  })

  it("gossip that does not get through makes a member suspect before its silence does", () => {
    const { cluster, node1, node2 } = settled(2)
    const turns = watch(cluster, node1, node2)
    cluster.kill(node2)
    cluster.pass("5 seconds")
    assert.strictEqual(turns[1]!.liveness, "suspect")
    assert.isBelow(turns[1]!.silentMillis, 3_000)
  })

  it("an accusation of the present heartbeat is refuted at once, to everybody; an older one is not worth it", () => {
    const { cluster, node1, node2 } = settled(3)
    const own = recordIn(node1, node1)
    const accuse = (heartbeat: number) =>
      node1.run(node1.gossip.receive(messageFrom(recordIn(node2, node2), {
        accused: [{ nodeId: node1.id, generation: own.generation, heartbeat }]
      })))
    const { gossip } = listen(cluster)
    accuse(own.heartbeat - 1)
    cluster.pass(0)
    assert.deepStrictEqual(gossip, [])
    accuse(own.heartbeat)
    cluster.pass(0)
    assert.sameMembers(gossip.map(({ to }) => to), ["node2", "node3"])
    for (const { message } of gossip) assert.isAbove(message.from.heartbeat, own.heartbeat)
  })

  it("a node whose link to one peer is cut stays up for it, by the word of others", () => {
    const { cluster, node1, node2 } = settled(3)
    const turns = watch(cluster, node1, node2)
    cluster.cut(node1, node2)
    cluster.pass("2 minutes")
    assert.deepStrictEqual(names(turns), ["up"])
  })

  it("a failed request makes a member suspect at once when no other node reaches it either", () => {
    const { cluster, node1, node2 } = settled(3)
    node1.run(node1.gossip.reportFailure(node2.id))
    cluster.pass(10)
    assert.strictEqual(node1.sees(node2), "up")
    cluster.pass("1 second")
    cluster.kill(node2)
    node1.run(node1.gossip.reportFailure(node2.id))
    cluster.pass(10)
    assert.strictEqual(node1.sees(node2), "suspect")
  })

  it("a late message of an earlier start is no news of the present one", () => {
    const { cluster, node1, node2 } = settled(3)
    const earlier = recordIn(node2, node2)
    cluster.kill(node2)
    cluster.start(node2)
    cluster.pass("5 seconds")
    cluster.kill(node2)
    cluster.pass("15 seconds")
    node1.run(node1.gossip.receive(messageFrom(earlier)))
    assert.strictEqual(node1.sees(node2), "down")
  })

  it("many reports about one member start one probe, and at most one a second", () => {
    const { cluster, node1, node2 } = settled(2)
    const { probes } = listen(cluster)
    const report = (times: number) => {
      for (let time = 0; time < times; time++) node1.run(node1.gossip.reportFailure(node2.id))
      cluster.pass(0)
    }
    report(10)
    cluster.pass(900)
    report(10)
    assert.lengthOf(probes, 1)
    cluster.pass(100)
    report(1)
    assert.lengthOf(probes, 2)
  })

  it("reports about this node and about strangers change nothing", () => {
    const { cluster, node1, node5 } = settled(2)
    node1.run(node1.gossip.reportFailure(node1.id))
    node1.run(node1.gossip.reportFailure(node5.id))
    cluster.pass("2 seconds")
    assert.strictEqual(node1.sees(node1), "up")
    assert.strictEqual(node1.sees(node5), "down")
    assert.isUndefined(node1.gossip.address(node5.id))
  })

  it("a node says that it reaches itself and those who answer, and tries nobody but members", () => {
    const { cluster, node1, node2, node5 } = settled(3)
    assert.isTrue(node1.run(node1.gossip.probe(node1.address)))
    const both = Effect.all([node2, node2, node5].map(({ address }) => node1.gossip.probe(address)), { concurrency: 3 })
    const { probes } = listen(cluster)
    assert.deepStrictEqual(node1.attempt(both, 10), Exit.succeed([true, true, false]))
    assert.deepStrictEqual(probes, [`node1>node2 ${node2.address}`])
    cluster.kill(node2)
    assert.deepStrictEqual(node1.attempt(node1.gossip.probe(node2.address), 10), Exit.succeed(false))
  })

  it("a dead member whose address another one has taken is not kept alive by it", () => {
    const { cluster, node1, node3 } = settled(3)
    cluster.kill(node3)
    const taker = cluster.add(6, { address: node3.address })
    taker.settings = { seeds: [node1.address] }
    cluster.start(taker)
    cluster.pass("20 seconds")
    assert.include(knownTo(node1), taker.id)
    assert.strictEqual(node1.sees(node3), "down")
    assert.strictEqual(node1.sees(taker), "up")
  })
})
