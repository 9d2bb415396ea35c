import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Logger, Random, type Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import { NodeId } from "../../src/domain/NodeId.ts"
import { Incarnation } from "../../src/domain/Version.ts"
import { Gossip } from "../../src/gossip/Gossip.ts"
import * as MembersFile from "../../src/gossip/MembersFile.ts"
import { type GossipMessage, type MemberRecord, protocolVersion } from "../../src/peer/PeerProtocol.ts"
import * as SimulatedCluster from "./SimulatedCluster.ts"
import { addressOf, watch } from "./SimulatedCluster.ts"

const names = ["node1", "node2", "node3", "node4", "node5"]
const id = (name: string) => NodeId.make(name)
const seeds = [addressOf("node1"), addressOf("node2")]

/** The longest round: two seconds and the most that jitter adds, with time for the answers. */
const roundMillis = 2_250

const seeded = <E>(seed: number, body: Effect.Effect<void, E, Scope.Scope>) =>
  body.pipe(
    Random.withSeed(seed),
    Effect.onError(() => Effect.logFatal(`failed with seed ${seed}`))
  )

/** A cluster of the first `count` nodes that know each other and have settled into their rhythm. */
const settled = Effect.fnUntraced(function*(count: number, options?: { readonly delayMillis?: number }) {
  const cluster = yield* SimulatedCluster.make(options)
  for (const name of names.slice(0, count)) yield* cluster.start(name, { seeds })
  yield* TestClock.adjust("20 seconds")
  return cluster
})

const knownTo = (gossip: SimulatedCluster.Service) => gossip.members().map(({ record }) => record.nodeId)
const recordIn = (gossip: SimulatedCluster.Service, name: string) =>
  gossip.members().find(({ record }) => record.nodeId === id(name))!.record

describe("Gossip: membership", () => {
  it.effect("a new node is known to all of five nodes, and knows all, after a few message delays", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(4)
        yield* cluster.start("node5", { seeds })
        yield* TestClock.adjust(5)
        for (const gossip of cluster.running()) assert.deepStrictEqual(knownTo(gossip), names.map(id))
      })
    ))

  for (const seed of [1, 2, 3, 4, 5]) {
    it.effect(`a new node that reaches only its seed, and whose seed's pushes are lost, is known to all within three rounds (seed ${seed})`, () =>
      seeded(
        seed,
        Effect.gen(function*() {
          const cluster = yield* settled(4)
          const others = ["node2", "node3", "node4"]
          for (const name of others) cluster.cut("node1", name)
          for (const name of others) cluster.cut("node5", name)
          yield* cluster.start("node5", { seeds: [addressOf("node1")] })
          yield* TestClock.adjust(50)
          for (const name of others) assert.notInclude(knownTo(cluster.gossipOf(name)), id("node5"))
          for (const name of others) cluster.mend("node1", name)
          yield* TestClock.adjust(3 * roundMillis)
          for (const gossip of cluster.running()) assert.deepStrictEqual(knownTo(gossip), names.map(id))
        })
      ))
  }

  it.effect("nodes that start together and name each other as seeds find each other at once", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* SimulatedCluster.make()
        const three = names.slice(0, 3)
        for (const name of three) yield* cluster.start(name, { seeds: three.map(addressOf) })
        yield* TestClock.adjust("1 second")
        for (const gossip of cluster.running()) assert.deepStrictEqual(knownTo(gossip), three.map(id))
      })
    ))

  it.effect("a node alone asks its seeds four times as often, and each known peer only once a round", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* SimulatedCluster.make()
        yield* cluster.start("node1", { seeds: [addressOf("node2")] })
        yield* TestClock.adjust("20 seconds")
        const alone = cluster.heard.length
        assert.isAtLeast(alone, 36)
        assert.isAtMost(alone, 45)
        yield* cluster.start("node2", { seeds: [] })
        yield* TestClock.adjust("1 second")
        const before = cluster.heard.length
        yield* TestClock.adjust("20 seconds")
        const exchanges = cluster.heard.slice(before).filter(({ message }) => message.digests.length > 0)
        assert.isAtLeast(exchanges.length, 18)
        assert.isAtMost(exchanges.length, 23)
      })
    ))

  it.effect("an exchange moves only what one side lacks, never the whole map", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(5)
        const before = cluster.heard.length
        yield* TestClock.adjust("20 seconds")
        const messages = cluster.heard.slice(before)
        assert.isAbove(messages.length, 100)
        const carried = messages.reduce((sum, { message }) => sum + message.records.length, 0)
        assert.isBelow(carried, 2 * messages.length)
        for (const { message } of messages) {
          assert.isTrue(message.digests.length === 0 || message.records.length === 0)
        }
      })
    ))

  it.effect("a restarted node knows its ring at once, even when everybody else is down", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(3)
        for (const name of ["node1", "node2", "node3"]) yield* cluster.stop(name)
        const gossip = yield* cluster.start("node2", { seeds: [] })
        assert.deepStrictEqual(knownTo(gossip), ["node1", "node2", "node3"].map(id))
        assert.strictEqual(gossip.address(id("node3")), addressOf("node3"))
        yield* TestClock.adjust("15 seconds")
        assert.deepStrictEqual(gossip.members().map(({ liveness }) => liveness), ["down", "up", "down"])
        assert.strictEqual(knownTo(gossip).length, 3)
      })
    ))

  it.effect("members are written when they change, not with each heartbeat, and again after a failure", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(3)
        const disk = cluster.diskOf("node1")
        const renames = disk.count("rename")
        yield* TestClock.adjust("1 minute")
        yield* cluster.stop("node3")
        yield* TestClock.adjust("15 seconds")
        assert.strictEqual(cluster.gossipOf("node1").liveness(id("node3")), "down")
        assert.strictEqual(disk.count("rename"), renames)
        disk.failNext("append", "members.json")
        yield* cluster.start("node4", { seeds })
        yield* TestClock.adjust("1 second")
        const inFile = () => disk.files().get("data/members.json")!.toString("utf8")
        assert.notInclude(inFile(), "node4")
        yield* TestClock.adjust("10 seconds")
        assert.include(inFile(), "node4")
      })
    ))

  it.effect("a damaged members.json stops the node instead of giving it a smaller ring", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(2)
        yield* cluster.stop("node1")
        cluster.diskOf("node1").damage("data/members.json", 0)
        const failure = yield* Effect.flip(cluster.start("node1"))
        assert.strictEqual(failure._tag, "Corruption")
      })
    ))

  it.effect("a node that lost its disk raises its generation above the one that others remember", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(3)
        for (let start = 2; start <= 4; start++) {
          yield* cluster.stop("node3")
          yield* cluster.start("node3", { seeds })
          yield* TestClock.adjust("3 seconds")
        }
        const before = recordIn(cluster.gossipOf("node1"), "node3")
        assert.strictEqual(before.generation, 4)
        yield* cluster.stop("node3")
        yield* cluster.start("node3", { seeds, lostDisk: true })
        yield* TestClock.adjust("1 second")
        for (const gossip of cluster.running()) {
          const after = recordIn(gossip, "node3")
          assert.strictEqual(after.generation, 5)
          assert.notStrictEqual(after.incarnation, before.incarnation)
          assert.strictEqual(gossip.liveness(id("node3")), "up")
        }
      })
    ))

  it.effect("a node that returns at another address is reached there", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(3)
        yield* cluster.stop("node3")
        yield* cluster.start("node3", { address: "elsewhere:9000" })
        yield* TestClock.adjust("1 second")
        for (const gossip of cluster.running()) assert.strictEqual(gossip.address(id("node3")), "elsewhere:9000")
      })
    ))

  it.effect("a newcomer learns how far the others' Lamport clocks are", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* SimulatedCluster.make()
        yield* cluster.start("node1", { counter: 41 })
        yield* cluster.start("node2", { seeds, counter: 99 })
        yield* cluster.start("node3", { seeds: [addressOf("node1")] })
        assert.strictEqual(cluster.counterOf("node3"), 0)
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(cluster.counterOf("node3"), 99)
      })
    ))

  it.effect("changes are published at once to who subscribes, then only when something but a heartbeat changed", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(3)
        let seen = 0
        yield* Effect.forkScoped(
          Stream.runForEach(cluster.gossipOf("node1").changes, () => Effect.sync(() => seen++))
        )
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(seen, 1)
        yield* cluster.start("node4", { seeds })
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(seen, 2)
      })
    ))
})

describe("Gossip: who is alive", () => {
  for (const seed of [1, 2, 3]) {
    it.effect(`a stopped node is suspect, then down ten seconds after its last news, then up again after its return (seed ${seed})`, () =>
      seeded(
        seed,
        Effect.gen(function*() {
          const cluster = yield* settled(5)
          const opinions = yield* Effect.forEach(names.slice(0, 4), (name) => watch(cluster.gossipOf(name), "node5"))
          yield* TestClock.adjust("30 seconds")
          for (const turns of opinions) assert.deepStrictEqual(turns.map(({ liveness }) => liveness), ["up"])
          const stoppedAtMillis = yield* Clock.currentTimeMillis
          yield* cluster.stop("node5")
          yield* TestClock.adjust("15 seconds")
          for (const turns of opinions) {
            const [, suspect, down] = turns
            assert.strictEqual(suspect!.liveness, "suspect")
            assert.isAbove(suspect!.atMillis, stoppedAtMillis)
            assert.isAtMost(suspect!.silentMillis, 3_250)
            assert.strictEqual(down!.liveness, "down")
            assert.isAtLeast(down!.silentMillis, 10_000)
            assert.isAtMost(down!.silentMillis, 10_200)
            assert.strictEqual(turns.length, 3)
          }
          yield* TestClock.adjust("1 minute")
          const returnedAtMillis = yield* Clock.currentTimeMillis
          yield* cluster.start("node5")
          yield* TestClock.adjust("10 seconds")
          for (const turns of opinions) {
            assert.strictEqual(turns[3]!.liveness, "up")
            assert.isAtMost(turns[3]!.atMillis - returnedAtMillis, 10)
            assert.strictEqual(turns.length, 4)
          }
        })
      ))
  }

  it.effect("a node that vanishes without refusing connections is suspect within about four seconds", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(5)
        const turns = yield* watch(cluster.gossipOf("node1"), "node5")
        yield* cluster.pause("node5")
        yield* TestClock.adjust("12 seconds")
        assert.deepStrictEqual(turns.map(({ liveness }) => liveness), ["up", "suspect", "down"])
        assert.isAtMost(turns[1]!.silentMillis, 4_250)
        assert.isAtLeast(turns[2]!.silentMillis, 10_000)
        assert.isAtMost(turns[2]!.silentMillis, 10_200)
      })
    ))

  for (const seed of [1, 2, 3]) {
    it.effect(`a node that was paused refutes at once and accuses nobody (seed ${seed})`, () =>
      seeded(
        seed,
        Effect.gen(function*() {
          const cluster = yield* settled(5)
          const opinions = yield* Effect.forEach(names.slice(0, 4), (name) => watch(cluster.gossipOf(name), "node5"))
          const own = yield* Effect.forEach(names, (name) => watch(cluster.gossipOf("node5"), name))
          yield* cluster.pause("node5")
          yield* TestClock.adjust("30 seconds")
          for (const turns of opinions) assert.strictEqual(turns.at(-1)!.liveness, "down")
          const resumedAtMillis = yield* Clock.currentTimeMillis
          yield* cluster.resume("node5")
          yield* TestClock.adjust("20 seconds")
          for (const turns of opinions) {
            assert.deepStrictEqual(turns.map(({ liveness }) => liveness), ["up", "suspect", "down", "up"])
            assert.isAtMost(turns[3]!.atMillis - resumedAtMillis, roundMillis)
          }
          for (const turns of own) assert.deepStrictEqual(turns.map(({ liveness }) => liveness), ["up"])
        })
      ))
  }

  it.effect("a node that stood still counts none of it as the others' silence", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(3)
        const turns = yield* watch(cluster.gossipOf("node1"), "node3")
        yield* cluster.stop("node3")
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(turns.map(({ liveness }) => liveness), ["up", "suspect"])
        const probes = cluster.probes().length
        yield* cluster.pause("node1")
        yield* TestClock.adjust("30 seconds")
        const resumedAtMillis = yield* Clock.currentTimeMillis
        yield* cluster.resume("node1")
        yield* settle
        assert.deepStrictEqual(
          cluster.probes().slice(probes).filter((probe) => probe.startsWith(`node1:8080 node2:8080 node2:8080`)),
          []
        )
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(turns.map(({ liveness }) => liveness), ["up", "suspect", "down"])
        assert.isAtLeast(turns[2]!.atMillis - resumedAtMillis, 4_000)
      })
    ))

  it.effect("two sides of a partition meet again by themselves when it heals", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(3)
        yield* cluster.stop("node3")
        yield* cluster.start("node3", { seeds: [] })
        yield* TestClock.adjust("5 seconds")
        for (const name of ["node1", "node2"]) {
          cluster.cut(name, "node3")
          cluster.cut("node3", name)
        }
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(cluster.gossipOf("node1").liveness(id("node3")), "down")
        assert.strictEqual(cluster.gossipOf("node3").liveness(id("node1")), "down")
        cluster.heal()
        yield* TestClock.adjust(roundMillis)
        for (const gossip of cluster.running()) {
          assert.deepStrictEqual(gossip.members().map(({ liveness }) => liveness), ["up", "up", "up"])
        }
      })
    ))

  it.effect("gossip that does not get through makes a member suspect before its silence does", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(2)
        const turns = yield* watch(cluster.gossipOf("node1"), "node2")
        yield* cluster.stop("node2")
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(turns[1]!.liveness, "suspect")
        assert.isBelow(turns[1]!.silentMillis, 3_000)
      })
    ))

  it.effect("an accusation of the present heartbeat is refuted at once, to everybody; an older one is not worth it", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(3)
        const gossip = cluster.gossipOf("node1")
        const own = recordIn(gossip, "node1")
        const accuse = (heartbeat: number) =>
          gossip.receive(messageFrom(recordIn(cluster.gossipOf("node2"), "node2"), {
            accused: [{ nodeId: id("node1"), generation: own.generation, heartbeat }]
          }))
        const before = cluster.heard.length
        yield* accuse(own.heartbeat - 1)
        yield* settle
        assert.strictEqual(cluster.heard.length, before)
        yield* accuse(own.heartbeat)
        yield* settle
        const pushed = cluster.heard.slice(before)
        assert.sameMembers(pushed.map(({ to }) => to), [addressOf("node2"), addressOf("node3")])
        for (const { message } of pushed) assert.isAbove(message.from.heartbeat, own.heartbeat)
      })
    ))

  it.effect("a node whose link to one peer is cut stays up for it, by the word of others", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(3)
        const turns = yield* watch(cluster.gossipOf("node1"), "node2")
        cluster.cut("node1", "node2")
        cluster.cut("node2", "node1")
        yield* TestClock.adjust("2 minutes")
        assert.deepStrictEqual(turns.map(({ liveness }) => liveness), ["up"])
      })
    ))

  it.effect("a failed request makes a member suspect at once when no other node reaches it either", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(3)
        const gossip = cluster.gossipOf("node1")
        yield* gossip.reportFailure(id("node2"))
        yield* TestClock.adjust(10)
        assert.strictEqual(gossip.liveness(id("node2")), "up")
        yield* TestClock.adjust("1 second")
        yield* cluster.stop("node2")
        yield* gossip.reportFailure(id("node2"))
        yield* TestClock.adjust(10)
        assert.strictEqual(gossip.liveness(id("node2")), "suspect")
      })
    ))

  it.effect("a late message of an earlier start is no news of the present one", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(3)
        const earlier = recordIn(cluster.gossipOf("node2"), "node2")
        yield* cluster.stop("node2")
        yield* cluster.start("node2")
        yield* TestClock.adjust("5 seconds")
        yield* cluster.stop("node2")
        yield* TestClock.adjust("15 seconds")
        const gossip = cluster.gossipOf("node1")
        yield* gossip.receive(messageFrom(earlier))
        assert.strictEqual(gossip.liveness(id("node2")), "down")
      })
    ))

  it.effect("many reports about one member start one probe, and at most one a second", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(2)
        const gossip = cluster.gossipOf("node1")
        const before = cluster.probes().length
        for (let report = 0; report < 10; report++) yield* gossip.reportFailure(id("node2"))
        yield* TestClock.adjust(900)
        for (let report = 0; report < 10; report++) yield* gossip.reportFailure(id("node2"))
        yield* settle
        assert.strictEqual(cluster.probes().length - before, 1)
        yield* TestClock.adjust(100)
        yield* gossip.reportFailure(id("node2"))
        yield* settle
        assert.strictEqual(cluster.probes().length - before, 2)
      })
    ))

  it.effect("reports about this node and about strangers change nothing", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(2)
        const gossip = cluster.gossipOf("node1")
        yield* gossip.reportFailure(id("node1"))
        yield* gossip.reportFailure(id("stranger"))
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(gossip.liveness(id("node1")), "up")
        assert.strictEqual(gossip.liveness(id("stranger")), "down")
        assert.isUndefined(gossip.address(id("stranger")))
      })
    ))

  it.effect("a node says that it reaches itself and who answers, and tries nobody but members", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(3)
        const gossip = cluster.gossipOf("node1")
        assert.isTrue(yield* gossip.probe(addressOf("node1")))
        const fiber = yield* Effect.forkChild(
          Effect.all(["node2", "node2", "node9"].map((name) => gossip.probe(addressOf(name))), { concurrency: 3 })
        )
        yield* TestClock.adjust(10)
        assert.deepStrictEqual(yield* Fiber.join(fiber), [true, true, false])
        yield* cluster.stop("node2")
        const gone = yield* Effect.forkChild(gossip.probe(addressOf("node2")))
        yield* TestClock.adjust(10)
        assert.isFalse(yield* Fiber.join(gone))
      })
    ))

  it.effect("a dead member whose address another one has taken is not kept alive by it", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(3)
        yield* cluster.stop("node3")
        yield* cluster.start("node4", { address: addressOf("node3"), seeds })
        yield* TestClock.adjust("20 seconds")
        const gossip = cluster.gossipOf("node1")
        assert.strictEqual(gossip.liveness(id("node3")), "down")
        assert.strictEqual(gossip.liveness(id("node4")), "up")
      })
    ))
})

describe("Gossip: who is refused", () => {
  it.effect("two nodes of one name: the second is refused by the first and by who knows the first to be up", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const errors: Array<string> = []
        yield* Effect.gen(function*() {
          const cluster = yield* settled(2)
          const second = yield* cluster.start("node1", { address: "second:8080", directory: "second", seeds })
          yield* TestClock.adjust("20 seconds")
          assert.deepStrictEqual(knownTo(second), [id("node1")])
          for (const name of ["node1", "node2"]) {
            assert.strictEqual(cluster.gossipOf(name).address(id("node1")), addressOf("node1"))
            assert.strictEqual(cluster.gossipOf(name).liveness(id("node1")), "up")
          }
        }).pipe(collectingErrors(errors))
        assert.strictEqual(errors.length, 4)
        for (const error of errors) assert.include(error, "two nodes are called node1")
      })
    ))

  it.effect("a node with other settings is refused by name of the setting, and each side reports it once", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const errors: Array<string> = []
        yield* Effect.gen(function*() {
          const cluster = yield* settled(1)
          const other = yield* cluster.start("node2", { seeds, settings: { replicationFactor: 5 } })
          yield* TestClock.adjust("1 minute")
          assert.deepStrictEqual(knownTo(other), [id("node2")])
          assert.deepStrictEqual(knownTo(cluster.gossipOf("node1")), [id("node1")])
        }).pipe(collectingErrors(errors))
        assert.strictEqual(errors.length, 2)
        for (const error of errors) {
          assert.include(error, "node2 has REPLICATION_FACTOR 5")
          assert.include(error, "node1 has REPLICATION_FACTOR 3")
        }
      })
    ))

  it.effect("a message of another protocol is refused", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(1)
        const refused = yield* Effect.flip(
          cluster.gossipOf("node1").receive(messageFrom(stranger, { protocol: protocolVersion + 1 }))
        )
        assert.include(refused.message, `protocol ${protocolVersion + 1}`)
        assert.strictEqual(knownTo(cluster.gossipOf("node1")).length, 1)
      })
    ))

  it.effect("a record that is absurdly far ahead of the known one is ignored, of the receiver and of others", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(3)
        const gossip = cluster.gossipOf("node1")
        const far = (name: string, generation: number) => ({
          ...recordIn(gossip, name),
          generation,
          address: "elsewhere:1"
        })
        const own = recordIn(gossip, "node1")
        for (const generation of [Number.MAX_SAFE_INTEGER, 2 ** 48, own.generation + 2 ** 20 + 1]) {
          const absurd = [far("node1", generation), far("node3", generation)]
          const { heartbeat } = recordIn(gossip, "node1")
          yield* gossip.receive(messageFrom(recordIn(gossip, "node2"), { records: absurd, accused: absurd }))
          assert.deepStrictEqual(recordIn(gossip, "node1"), { ...own, heartbeat }, "it is not worth a refutation")
          assert.strictEqual(recordIn(gossip, "node3").address, addressOf("node3"))
        }
        const records = [far("node1", own.generation + 2 ** 20)]
        yield* gossip.receive(messageFrom(recordIn(gossip, "node2"), { records }))
        assert.strictEqual(recordIn(gossip, "node1").generation, own.generation + 2 ** 20 + 1)
        assert.strictEqual(recordIn(gossip, "node1").address, addressOf("node1"))
      })
    ))

  it.effect("a node whose generation others raised far is above it after a restart, however often they did", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const cluster = yield* settled(2)
        for (let leap = 0; leap < 3; leap++) {
          const own = recordIn(cluster.gossipOf("node1"), "node1")
          const records = [{ ...own, generation: own.generation + 2 ** 20 }]
          yield* cluster.gossipOf("node1").receive(
            messageFrom(recordIn(cluster.gossipOf("node1"), "node2"), { records })
          )
        }
        const before = recordIn(cluster.gossipOf("node1"), "node1").generation
        yield* TestClock.adjust("10 seconds")
        yield* cluster.stop("node1")
        yield* cluster.start("node1", { seeds })
        yield* TestClock.adjust("1 second")
        for (const gossip of cluster.running()) {
          assert.strictEqual(recordIn(gossip, "node1").generation, before + 1)
          assert.strictEqual(gossip.liveness(id("node1")), "up")
        }
      })
    ))

  it.effect("a members.json that could not be read back is not written", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      yield* MembersFile.save(memory.disk, "data", [stranger])
      for (const broken of [{ generation: 2 ** 53 }, { heartbeat: 2 ** 48 + 1 }, { vnodes: 0 }]) {
        const error = yield* Effect.flip(MembersFile.save(memory.disk, "data", [{ ...stranger, ...broken }]))
        assert.strictEqual(error._tag, "Corruption")
      }
      assert.deepStrictEqual(yield* MembersFile.load(memory.disk, "data"), [stranger])
    }))

  it.effect("a node that meets itself under another name learns nothing and is not alarmed", () =>
    seeded(
      1,
      Effect.gen(function*() {
        const errors: Array<string> = []
        yield* Effect.gen(function*() {
          const cluster = yield* settled(1)
          const gossip = cluster.gossipOf("node1")
          const reply = yield* gossip.receive(messageFrom(recordIn(gossip, "node1")))
          assert.deepStrictEqual(reply, { protocol: protocolVersion, records: [], wanted: [] })
        }).pipe(collectingErrors(errors))
        assert.deepStrictEqual(errors, [])
      })
    ))
})

describe("Gossip: chance", () => {
  const seedsTried = Array.from({ length: 30 }, (_, index) => index + 1)
  for (const seed of seedsTried) {
    it.effect(`after stops, pauses, restarts and cuts everybody agrees on everybody (seed ${seed})`, () =>
      seeded(
        seed,
        Effect.gen(function*() {
          const cluster = yield* SimulatedCluster.make({ delayMillis: 1 + seed % 7 })
          const up = new Set<string>()
          const paused = new Set<string>()
          const run = (name: string) => Effect.andThen(cluster.start(name, { seeds }), Effect.sync(() => up.add(name)))
          const goOn = (name: string) => Effect.andThen(cluster.resume(name), Effect.sync(() => paused.delete(name)))
          yield* run("node1")
          for (let step = 0; step < 20; step++) {
            const name = names[yield* Random.nextIntBetween(0, names.length - 1)]!
            const other = names[yield* Random.nextIntBetween(0, names.length - 1)]!
            const chance = yield* Random.next
            if (!up.has(name)) {
              yield* run(name)
            } else if (paused.has(name)) {
              yield* goOn(name)
            } else if (chance < 0.3) {
              yield* cluster.stop(name)
              up.delete(name)
            } else if (chance < 0.6) {
              yield* cluster.pause(name)
              paused.add(name)
            } else if (chance < 0.9) {
              cluster.cut(name, other)
            } else {
              cluster.heal()
            }
            yield* TestClock.adjust(yield* Random.nextIntBetween(10, 8_000))
          }
          cluster.heal()
          for (const name of paused) yield* goOn(name)
          for (const name of names) if (!up.has(name)) yield* run(name)
          yield* TestClock.adjust("15 seconds")
          const faces = cluster.running().map((gossip) =>
            gossip.members().map(({ liveness, record: { address, generation, incarnation, nodeId } }) => ({
              nodeId,
              address,
              generation,
              incarnation,
              liveness
            }))
          )
          assert.strictEqual(faces.length, names.length)
          assert.deepStrictEqual(faces[0]!.map(({ liveness }) => liveness), names.map(() => "up"))
          for (const face of faces) assert.deepStrictEqual(face, faces[0]!, `seed ${seed}`)
        })
      ))
  }
})

describe("Gossip.layerFixed", () => {
  it.effect("answers with the members as given", () =>
    Effect.gen(function*() {
      const gossip = yield* Gossip
      assert.strictEqual(gossip.self, id("node1"))
      assert.strictEqual(gossip.liveness(id("node9")), "down")
      assert.strictEqual(gossip.liveness(stranger.nodeId), "suspect")
      assert.strictEqual(gossip.address(stranger.nodeId), stranger.address)
      assert.deepStrictEqual(yield* Stream.runCollect(gossip.changes), [gossip.members()])
      yield* gossip.reportFailure(stranger.nodeId)
      assert.isFalse(yield* gossip.probe(stranger.address))
      assert.deepStrictEqual((yield* gossip.receive(messageFrom(stranger))).records, [])
    }).pipe(
      Effect.provide(Gossip.layerFixed(id("node1"), [{ record: stranger, liveness: "suspect", heardAtMillis: 0 }]))
    ))
})

const stranger: MemberRecord = {
  nodeId: NodeId.make("stranger"),
  incarnation: Incarnation.make("0123456789ab"),
  generation: 1,
  heartbeat: 1,
  address: "stranger:8080",
  vnodes: 100,
  state: "up",
  counter: 7
}

const messageFrom = (from: MemberRecord, changes?: Partial<GossipMessage>): GossipMessage => ({
  protocol: protocolVersion,
  from,
  settings: { replicationFactor: 3, partitions: 1024 },
  digests: [],
  records: [],
  accused: [],
  ...changes
})

/** Lets forked fibers run until they wait for time. */
const settle = TestClock.adjust(0)

const collectingErrors = (errors: Array<string>) =>
  Effect.provide(
    Logger.layer([
      Logger.make(({ logLevel, message }) => {
        if (logLevel === "Error") errors.push(String(message))
      })
    ])
  )
