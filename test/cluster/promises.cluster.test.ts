/** Each promise of the store, shown on whole clusters in one process under faults, on virtual time. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { MemoryNode } from "./MemoryCluster.ts"
import * as Cluster from "./MemoryCluster.ts"

const { contents, coordinator, gossip, key, passing, replicator, storage, value } = Cluster

const put = (node: MemoryNode, name: string, text: string, options?: { readonly w?: number }) =>
  passing(coordinator(node).put(key(name), value(text), options))

const text = (node: MemoryNode, name: string, options?: { readonly r?: number }) =>
  Effect.map(
    passing(coordinator(node).get(key(name), options)),
    ({ cell }) => cell?.value === undefined ? undefined : Buffer.from(cell.value.bytes).toString()
  )

const three = (seed: number, options?: Partial<Parameters<typeof Cluster.make>[0]>) =>
  Effect.map(Cluster.make({ size: 3, seed, ...options }), (cluster) => {
    const [node1, node2, node3] = cluster.nodes
    return { cluster, node1: node1!, node2: node2!, node3: node3! }
  })

const sees = (observer: MemoryNode, observed: MemoryNode, liveness: "up" | "suspect" | "down") =>
  Effect.sync(() => gossip(observer).liveness(observed.id) === liveness)

const allHoldTheSame = (nodes: ReadonlyArray<MemoryNode>) =>
  Effect.map(
    Effect.forEach(nodes, contents),
    (all) => all.every((lines) => JSON.stringify(lines) === JSON.stringify(all[0]))
  )

describe("quorum-read", () => {
  it.effect("a write through one node is read through every other", () =>
    Effect.gen(function*() {
      const { cluster, node1 } = yield* three(1)
      const receipt = yield* put(node1, "users/42", "Ada")
      assert.strictEqual(receipt.replicas, 3)
      assert.isFalse(receipt.replaced)
      for (const node of cluster.nodes) assert.strictEqual(yield* text(node, "users/42"), "Ada")
    }))

  it.effect("a write over a live value says that it replaced one, a write over a tombstone that it did not", () =>
    Effect.gen(function*() {
      const { node1, node2 } = yield* three(2)
      yield* put(node1, "k", "first")
      assert.isTrue((yield* put(node2, "k", "second")).replaced)
      yield* passing(coordinator(node1).delete(key("k")))
      assert.isUndefined(yield* text(node2, "k"))
      assert.isFalse((yield* put(node2, "k", "third")).replaced)
    }))

  it.effect("a node that is no replica of the key answers for it all the same", () =>
    Effect.gen(function*() {
      const cluster = yield* Cluster.make({ size: 5, seed: 3 })
      for (let index = 0; index < 20; index++) yield* put(cluster.nodes[index % 5]!, `key-${index}`, `value ${index}`)
      for (const node of cluster.nodes) {
        for (let index = 0; index < 20; index++) assert.strictEqual(yield* text(node, `key-${index}`), `value ${index}`)
      }
    }))
})

describe("ordered-ack", () => {
  it.effect("a write through a node whose clock is behind wins over the one acknowledged before it", () =>
    Effect.gen(function*() {
      const { cluster, node1, node2, node3 } = yield* three(4)
      // node2 neither coordinates nor hears of node1's many writes, so its clock stays behind.
      cluster.cut(node1, node2)
      cluster.cut(node3, node2)
      for (let index = 0; index < 30; index++) yield* put(node1, "k", `node1 ${index}`)
      cluster.heal()
      const receipt = yield* put(node2, "k", "node2 at last")
      assert.isAbove(receipt.version.counter, 30)
      for (const node of cluster.nodes) assert.strictEqual(yield* text(node, "k"), "node2 at last")
    }))
})

describe("ordered-ack, where a replica forgot", () => {
  it.effect("a node with a new data directory does not vouch for a write, so none loses to one from before", () =>
    Effect.gen(function*() {
      const { cluster, node1, node2, node3 } = yield* three(20)
      cluster.cut(node1, node3)
      cluster.cut(node2, node3)
      for (let index = 0; index < 30; index++) yield* put(node1, "k", `first ${index}`)
      yield* cluster.loseDisk(node2)
      cluster.heal()
      cluster.cut(node1, node2)
      cluster.cut(node1, node3)
      yield* cluster.start(node2)
      yield* cluster.until(sees(node3, node2, "up"), "node3 knows node2 again")
      const failure = yield* Effect.flip(put(node3, "k", "second"))
      assert.deepInclude(failure.failures, { node: node2.id, reason: "recovering" })
      cluster.heal()
      yield* cluster.until(Effect.map(replicator(node2).status, ({ recovering }) => !recovering), "node2 has recovered")
      yield* put(node3, "k", "third")
      for (const node of cluster.nodes) assert.strictEqual(yield* text(node, "k"), "third")
    }))
})

describe("monotonic-read", () => {
  it.effect("what one quorum read returned is on enough replicas before it is returned", () =>
    Effect.gen(function*() {
      const { cluster, node1, node2, node3 } = yield* three(5)
      yield* put(node1, "k", "old")
      yield* cluster.until(allHoldTheSame(cluster.nodes), "everybody holds the old value")
      // Only node3 has the new value, as after a write that failed.
      const version = { ...(yield* storage(node1).version(key("k")))!, counter: 1_000 }
      yield* storage(node3).apply([{ key: key("k"), version, value: value("new") }])
      const first = yield* text(node3, "k")
      assert.strictEqual(first, "new")
      yield* cluster.crash(node3)
      assert.strictEqual(yield* text(node1, "k"), "new")
      assert.strictEqual(yield* text(node2, "k"), "new")
    }))
})

describe("availability", () => {
  it.effect("with one node down every operation succeeds, before and after it is known to be down", () =>
    Effect.gen(function*() {
      const { cluster, node1, node2, node3 } = yield* three(6)
      yield* cluster.crash(node2)
      yield* put(node1, "a", "right after")
      assert.strictEqual(yield* text(node3, "a"), "right after")
      yield* cluster.until(sees(node1, node2, "down"), "node1 holds node2 for down")
      yield* put(node1, "b", "much later")
      assert.strictEqual(yield* text(node3, "b"), "much later")
    }))

  it.effect("a node that is cut off silently slows nobody down by more than one attempt", () =>
    Effect.gen(function*() {
      const { cluster, node1, node2, node3 } = yield* three(7)
      cluster.cut(node1, node2)
      const before = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
      yield* put(node1, "a", "1")
      assert.strictEqual(yield* text(node1, "a"), "1")
      assert.strictEqual(yield* text(node3, "a"), "1")
      const after = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
      assert.isAtMost(after - before, 1_200)
    }))

  it.effect("with two nodes down a write fails at once, says what was missing, and that nothing was applied", () =>
    Effect.gen(function*() {
      const { cluster, node1, node2, node3 } = yield* three(8)
      yield* cluster.crash(node2)
      yield* cluster.crash(node3)
      yield* cluster.until(
        Effect.all([sees(node1, node2, "down"), sees(node1, node3, "down")]).pipe(Effect.map(([a, b]) => a && b)),
        "both are down for node1"
      )
      const failure = yield* Effect.flip(coordinator(node1).put(key("k"), value("v")))
      assert.deepInclude(failure, { wanted: 2, got: 0, replicas: 3, outcome: "not-applied" })
      assert.deepStrictEqual(failure.failures, [
        { node: node2.id, reason: "down" },
        { node: node3.id, reason: "down" }
      ])
      const read = yield* Effect.flip(coordinator(node1).get(key("k")))
      assert.deepInclude(read, { wanted: 2, replicas: 3 })
      assert.isUndefined(yield* storage(node1).version(key("k")))
    }))

  it.effect("a write that reached one replica before the quorum was lost says that its outcome is unknown", () =>
    Effect.gen(function*() {
      const { cluster, node1, node2, node3 } = yield* three(9)
      yield* cluster.crash(node2)
      yield* cluster.crash(node3)
      const failure = yield* Effect.flip(put(node1, "k", "v"))
      assert.deepInclude(failure, { wanted: 2, replicas: 3, outcome: "unknown" })
    }))
})

describe("outcome", () => {
  it.effect("is unknown, not not-applied, when the second stamp of a write that was sent cannot be had", () =>
    Effect.gen(function*() {
      const { cluster, node1, node2 } = yield* three(21)
      const { version } = yield* put(node1, "a", "x")
      yield* TestClock.adjust("1 second")
      cluster.cut(node1, node2)
      yield* storage(node2).apply([
        { key: key("k"), version: { ...version, counter: 150_000, nodeId: node2.id }, value: value("newer") }
      ])
      cluster.heal()
      node1.disk.failNext("openAppend", "clock.json", "full")
      const failure = yield* Effect.flip(put(node1, "k", "mine", { w: 3 }))
      assert.strictEqual(failure.outcome, "unknown")
    }))
})

describe("durable-ack", () => {
  it.effect("every acknowledged write survives a power cut of all nodes at once", () =>
    Effect.gen(function*() {
      const { cluster, node1, node2, node3 } = yield* three(10)
      for (let index = 0; index < 40; index++) yield* put(cluster.nodes[index % 3]!, `key-${index}`, `value ${index}`)
      yield* Effect.forEach(cluster.nodes, cluster.crash, { discard: true })
      yield* Effect.forEach(cluster.nodes, cluster.start, { discard: true })
      yield* cluster.until(sees(node1, node2, "up"), "they meet again")
      yield* cluster.until(sees(node1, node3, "up"), "they meet again")
      for (let index = 0; index < 40; index++) {
        assert.strictEqual(yield* text(cluster.nodes[(index + 1) % 3]!, `key-${index}`), `value ${index}`)
      }
    }))

  it.effect("no version is issued twice, whatever a crash took away", () =>
    Effect.gen(function*() {
      const { cluster, node1 } = yield* three(11)
      const seen = new Set<string>()
      for (let round = 0; round < 4; round++) {
        for (let index = 0; index < 5; index++) {
          const { version } = yield* put(node1, `key-${index}`, `round ${round}`)
          const stamp = `${version.counter} ${version.nodeId} ${version.incarnation}`
          assert.isFalse(seen.has(stamp), stamp)
          seen.add(stamp)
        }
        yield* cluster.crash(node1)
        yield* cluster.start(node1)
        yield* cluster.until(sees(node1, cluster.nodes[1]!, "up"), "node1 is back")
      }
    }))
})

describe("convergence", () => {
  it.effect("a node that was away holds everything soon after its return, though no client touches it", () =>
    Effect.gen(function*() {
      const { cluster, node1, node2 } = yield* three(12)
      yield* put(node1, "before", "1")
      yield* cluster.crash(node2)
      yield* cluster.until(sees(node1, node2, "down"), "node2 is down")
      for (let index = 0; index < 50; index++) yield* put(node1, `key-${index}`, `value ${index}`)
      yield* passing(coordinator(node1).delete(key("before")))
      yield* cluster.start(node2)
      yield* cluster.until(allHoldTheSame(cluster.nodes), "all hold the same")
      assert.lengthOf(yield* contents(node2), 51)
      assert.strictEqual(yield* text(node2, "key-7", { r: 1 }), "value 7")
    }))

  it.effect("where no hint was kept, the comparison of partitions makes up for it", () =>
    Effect.gen(function*() {
      const { cluster, node1, node2 } = yield* three(13, { settings: { hintsBytesMaxPerPeer: 1 } })
      yield* cluster.crash(node2)
      for (let index = 0; index < 50; index++) yield* put(node1, `key-${index}`, `value ${index}`)
      yield* cluster.start(node2)
      yield* cluster.until(allHoldTheSame(cluster.nodes), "all hold the same")
      assert.lengthOf(yield* contents(node2), 50)
    }))

  it.effect("a node that was cut off, but never stopped, is brought in sync too", () =>
    Effect.gen(function*() {
      const { cluster, node1, node2, node3 } = yield* three(14, { settings: { hintsBytesMaxPerPeer: 1 } })
      cluster.cut(node1, node2)
      cluster.cut(node3, node2)
      yield* cluster.until(sees(node1, node2, "down"), "node2 is down")
      for (let index = 0; index < 20; index++) yield* put(node1, `key-${index}`, `value ${index}`)
      cluster.heal()
      yield* cluster.until(allHoldTheSame(cluster.nodes), "all hold the same")
      assert.lengthOf(yield* contents(node2), 20)
    }))

  it.effect("a coordinator that dies with its hints leaves nothing unequal for long", () =>
    Effect.gen(function*() {
      const { cluster, node1, node2 } = yield* three(15)
      cluster.cut(node1, node2)
      yield* put(node1, "k", "v")
      yield* cluster.crash(node1)
      cluster.heal()
      yield* cluster.start(node1)
      yield* cluster.until(allHoldTheSame(cluster.nodes), "all hold the same")
      assert.lengthOf(yield* contents(node2), 1)
    }))

  it.effect("a node whose disk was full catches up when space returns", () =>
    Effect.gen(function*() {
      const { cluster, node1, node2 } = yield* three(16)
      node2.disk.setFull(true)
      for (let index = 0; index < 20; index++) yield* put(node1, `key-${index}`, `value ${index}`)
      assert.strictEqual(yield* text(node2, "key-3"), "value 3")
      node2.disk.setFull(false)
      yield* cluster.until(allHoldTheSame(cluster.nodes), "all hold the same")
      assert.lengthOf(yield* contents(node2), 20)
    }))
})

describe("no-resurrection", () => {
  it.effect("a node that returns late does not bring a deleted key back", () =>
    Effect.gen(function*() {
      const { cluster, node1, node2, node3 } = yield* three(17)
      yield* put(node1, "k", "v", { w: 3 })
      yield* cluster.crash(node2)
      yield* passing(coordinator(node1).delete(key("k")))
      yield* cluster.start(node2)
      yield* cluster.until(allHoldTheSame(cluster.nodes), "all hold the same")
      for (const node of [node1, node2, node3]) assert.isUndefined(yield* text(node, "k"))
    }))
})

describe("a node that lost its disk", () => {
  it.effect("answers no reads before it has compared with every replica, then holds everything, under a new incarnation", () =>
    Effect.gen(function*() {
      const { cluster, node1, node2, node3 } = yield* three(18)
      const before = yield* put(node2, "mine", "v")
      for (let index = 0; index < 30; index++) yield* put(node1, `key-${index}`, `value ${index}`)
      yield* cluster.loseDisk(node2)
      cluster.cut(node2, node3)
      yield* cluster.start(node2)
      yield* cluster.until(sees(node2, node1, "up"), "node2 knows node1")
      yield* TestClock.adjust("5 seconds")
      // One of the two replicas is out of reach, and what node2 once acknowledged may be there alone.
      assert.isTrue((yield* replicator(node2).status).recovering)
      assert.strictEqual(
        (yield* Effect.flip(replicator(node2).answer([{ key: key("mine"), full: true }]))).reason,
        "recovering"
      )
      cluster.heal()
      yield* cluster.until(Effect.map(replicator(node2).status, ({ recovering }) => !recovering), "node2 has recovered")
      assert.lengthOf(yield* contents(node2), 31)
      const after = yield* put(node2, "mine", "w")
      assert.notStrictEqual(after.version.incarnation, before.version.incarnation)
      assert.isAbove(after.version.counter, before.version.counter)
    }))
})

describe("a client that goes away", () => {
  it.effect("leaves its write to reach the other replicas, or to become a hint", () =>
    Effect.gen(function*() {
      const { cluster, node1, node2, node3 } = yield* three(22)
      cluster.cut(node1, node2)
      cluster.cut(node1, node3)
      const writing = yield* Effect.forkChild(coordinator(node1).put(key("k"), value("v")))
      yield* TestClock.adjust("100 millis")
      yield* Fiber.interrupt(writing)
      yield* TestClock.adjust("1 second")
      const { hints } = yield* replicator(node1).status
      assert.deepStrictEqual(hints.map(({ peer, pending }) => [peer, pending]), [[node2.id, 1], [node3.id, 1]])
    }))

  it.effect("takes its waiting reads along", () =>
    Effect.gen(function*() {
      const { cluster, node1, node2, node3 } = yield* three(19)
      yield* put(node1, "k", "v")
      cluster.cut(node1, node2)
      cluster.cut(node1, node3)
      const reading = yield* Effect.forkChild(coordinator(node1).get(key("k"), { timeout: Duration.seconds(60) }))
      yield* TestClock.adjust("10 millis")
      assert.isUndefined(reading.pollUnsafe())
      yield* Fiber.interrupt(reading)
      assert.isDefined(reading.pollUnsafe())
    }))
})
