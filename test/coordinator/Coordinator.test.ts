import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { LamportClock } from "../../src/clock/LamportClock.ts"
import { ClusterConfig } from "../../src/config/ClusterConfig.ts"
import { NodeConfig } from "../../src/config/NodeConfig.ts"
import { Coordinator } from "../../src/coordinator/Coordinator.ts"
import { DiskFull, type StorageError } from "../../src/disk/StorageError.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import type { NodeId } from "../../src/domain/NodeId.ts"
import { Gossip, type Liveness } from "../../src/gossip/Gossip.ts"
import { Metrics } from "../../src/observability/Metrics.ts"
import type { ReadAnswer, ReadRequest, WriteAnswer } from "../../src/peer/PeerClient.ts"
import type { PeerFailed } from "../../src/peer/PeerError.ts"
import { Replicator } from "../../src/replicator/Replicator.ts"
import { Ring } from "../../src/ring/Ring.ts"
import { layerMock } from "../replicator/fakes.ts"
import { a, b, c, cellOf, endingAfter, failedBy, key, settle, version } from "./requests.ts"

const value = { bytes: Buffer.from("v"), contentType: "text/plain" }
const accepted: WriteAnswer = { _tag: "Accepted", replaced: false }
const superseded = (counter: number): WriteAnswer => ({ _tag: "Superseded", newest: version(counter, c) })

type Write = (cell: Cell) => Effect.Effect<WriteAnswer, PeerFailed>
type Read = (request: ReadRequest) => Effect.Effect<ReadAnswer, PeerFailed>

/** A replica that holds the cell, or nothing. */
const holding = (cell?: Cell): Read => ({ full }) =>
  Effect.succeed({ version: cell?.version, cell: full ? cell : undefined })

/** The coordinator of `a`, whose key is replicated on `a`, `b` and `c`, which answer what the test says. */
const startCoordinator = Effect.fnUntraced(function*() {
  const world = {
    liveness: new Map<NodeId, Liveness>(),
    write: new Map<NodeId, Write>(),
    read: new Map<NodeId, Read>(),
    next: undefined as Effect.Effect<never, StorageError> | undefined,
    counter: 0,
    writes: [] as Array<readonly [node: NodeId, counter: number]>,
    repairs: [] as Array<readonly [node: NodeId, counter: number]>,
    reads: [] as Array<readonly [node: NodeId, full: boolean]>,
    hints: [] as Array<readonly [node: NodeId, counter: number]>,
    cells: [] as Array<Cell>
  }
  const write = (node: NodeId, cell: Cell) => world.write.get(node)?.(cell) ?? Effect.succeed(accepted)
  const services = yield* Layer.build(
    Layer.fresh(Coordinator.layer).pipe(Layer.provide([
      ClusterConfig.layerTest(),
      Metrics.layer,
      NodeConfig.layerTest({ requestTimeout: Duration.seconds(1) }),
      layerMock(Ring, { preferenceList: () => [a, b, c] }),
      layerMock(Gossip, { self: a, liveness: (node) => world.liveness.get(node) ?? "up" }),
      layerMock(LamportClock, {
        next: Effect.suspend(() => world.next ?? Effect.succeed(version(++world.counter))),
        observe: (counter) => {
          if (counter > 1000) return false
          world.counter = Math.max(world.counter, counter)
          return true
        }
      }),
      layerMock(Replicator, {
        write: (node, cell) =>
          Effect.suspend(() => {
            world.writes.push([node, cell.version.counter])
            world.cells.push(cell)
            return write(node, cell)
          }),
        read: (node, request) =>
          Effect.suspend(() => {
            world.reads.push([node, request.full])
            return (world.read.get(node) ?? holding())(request)
          }),
        repair: (node, cell) =>
          Effect.suspend(() => {
            world.repairs.push([node, cell.version.counter])
            return write(node, cell)
          }),
        hint: (node, cell) => {
          world.hints.push([node, cell.version.counter])
        }
      })
    ]))
  )
  return { coordinator: Context.get(services, Coordinator), world }
})

describe("Coordinator", () => {
  it.effect("stamps a value or a tombstone, sends it to every replica and acknowledges with the quorum", () =>
    Effect.gen(function*() {
      const { coordinator, world } = yield* startCoordinator()
      world.write.set(a, () => Effect.succeed({ _tag: "Accepted", replaced: true }))
      world.write.set(c, () => Effect.never)
      assert.deepStrictEqual(yield* coordinator.put(key, value), {
        version: version(1),
        acks: 2,
        replicas: 3,
        replaced: true
      })
      assert.deepStrictEqual(world.writes, [[a, 1], [b, 1], [c, 1]])
      assert.deepStrictEqual(world.cells[0], { key, version: version(1), value })
      assert.deepStrictEqual(world.hints, [])
      const { version: second } = yield* coordinator.delete(key)
      assert.deepStrictEqual(world.cells[3], { key, version: second, value: undefined })
    }))

  it.effect("waits for as many replicas as the request asks for", () =>
    Effect.gen(function*() {
      const { coordinator, world } = yield* startCoordinator()
      world.write.set(b, () => Effect.never)
      world.write.set(c, () => Effect.never)
      assert.strictEqual((yield* coordinator.put(key, value, { w: 1 })).acks, 1)
      const failure = yield* endingAfter(1000, Effect.flip(coordinator.delete(key, { w: 3 })))
      assert.deepInclude(failure, { wanted: 3, got: 1, outcome: "unknown" })
    }))

  it.effect("keeps a hint for a replica that is down, and does without it", () =>
    Effect.gen(function*() {
      const { coordinator, world } = yield* startCoordinator()
      world.liveness.set(b, "down")
      assert.deepInclude(yield* coordinator.put(key, value), { acks: 2, replicas: 3 })
      assert.deepStrictEqual(world.writes.map(([node]) => node), [a, c])
      assert.deepStrictEqual(world.hints, [[b, 1]])
    }))

  it.effect("does not wait for a quorum that can no longer be reached, and names every reason", () =>
    Effect.gen(function*() {
      const { coordinator, world } = yield* startCoordinator()
      world.liveness.set(c, "down")
      world.write.set(b, () => Effect.delay(Effect.succeed({ _tag: "Uncounted", reason: "recovering" }), "10 millis"))
      const failure = yield* endingAfter(10, Effect.flip(coordinator.put(key, value)))
      assert.deepInclude(failure, { _tag: "WriteQuorumNotReached", wanted: 2, got: 1, replicas: 3, outcome: "unknown" })
      assert.strictEqual(failure.message, "a write needs 2 replicas, 1 of 3 took it (c: down, b: recovering)")
      // It has taken the cell, so it needs no hint.
      assert.deepStrictEqual(world.hints, [[c, 1]])
    }))

  it.effect("sends nothing when too few replicas are up, and says that nothing was applied", () =>
    Effect.gen(function*() {
      const { coordinator, world } = yield* startCoordinator()
      world.liveness.set(b, "down").set(c, "down")
      const failure = yield* Effect.flip(coordinator.put(key, value))
      assert.deepInclude(failure, { wanted: 2, got: 0, replicas: 3, outcome: "not-applied" })
      assert.deepStrictEqual(failure.failures, [{ node: b, reason: "down" }, { node: c, reason: "down" }])
      assert.deepStrictEqual([world.writes, world.hints, world.counter], [[], [], 0])
    }))

  it.effect("sends nothing when it cannot stamp, and says that nothing was applied", () =>
    Effect.gen(function*() {
      const { coordinator, world } = yield* startCoordinator()
      world.next = Effect.fail(new DiskFull({ path: "data" }))
      const failure = yield* Effect.flip(coordinator.put(key, value))
      assert.deepInclude(failure, { got: 0, outcome: "not-applied" })
      assert.deepStrictEqual(failure.failures, [{ node: a, reason: "storage" }])
      assert.deepStrictEqual(world.writes, [])
    }))

  it.effect("stamps again above what a replica holds, until it is the newest", () =>
    Effect.gen(function*() {
      const { coordinator, world } = yield* startCoordinator()
      world.write.set(b, (cell) =>
        Effect.succeed(cell.version.counter > 700 ? accepted : superseded(cell.version.counter === 1 ? 51 : 700)))
      world.write.set(c, () =>
        Effect.never)
      const receipt = yield* coordinator.put(key, value)
      assert.deepInclude(receipt, { version: version(701), acks: 2 })
      const asked = world.writes.filter(([node]) =>
        node === b
      )
      assert.deepStrictEqual(asked.map(([, counter]) => counter), [1, 52, 701])
    }))

  it.effect("does not follow a version absurdly far ahead, and names the replica", () =>
    Effect.gen(function*() {
      const { coordinator, world } = yield* startCoordinator()
      world.write.set(b, () => Effect.succeed(superseded(1_000_000)))
      world.write.set(c, () => Effect.never)
      const failure = yield* Effect.flip(coordinator.put(key, value, { w: 3 }))
      assert.deepInclude(failure, { wanted: 3, outcome: "unknown" })
      assert.deepStrictEqual(failure.failures, [{ node: b, reason: "superseded" }])
    }))

  it.effect("stops stamping again at the deadline", () =>
    Effect.gen(function*() {
      const { coordinator, world } = yield* startCoordinator()
      for (const node of [a, b, c]) {
        world.write.set(node, (cell) =>
          Effect.andThen(Effect.sleep("150 millis"), Effect.succeed(superseded(cell.version.counter))))
      }
      const put = coordinator.put(key, value, { timeout: Duration.millis(400) })
      assert.deepInclude(yield* endingAfter(400, Effect.flip(put)), { outcome: "unknown", got: 0 })
      assert.strictEqual(world.counter, 3)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(world.counter, 3)
    }))

  it.effect("reads the cell from one replica and versions from the others, and answers when they agree", () =>
    Effect.gen(function*() {
      const { coordinator, world } = yield* startCoordinator()
      for (const cell of [undefined, cellOf(5)]) {
        for (const node of [a, b, c]) world.read.set(node, holding(cell))
        assert.deepStrictEqual(yield* coordinator.get(key), { cell, answers: 2, replicas: 3 })
        assert.deepStrictEqual(world.reads.splice(0), [[a, true], [b, false]])
        assert.deepStrictEqual(world.repairs, [])
      }
    }))

  it.effect("brings stale replicas in sync before it answers, and the others behind the answer", () =>
    Effect.gen(function*() {
      const { coordinator, world } = yield* startCoordinator()
      world.read.set(a, holding(cellOf(4)))
      world.read.set(b, holding(cellOf(5)))
      assert.deepStrictEqual((yield* coordinator.get(key)).cell, cellOf(5))
      yield* settle
      assert.deepStrictEqual(world.reads, [[a, true], [b, false], [b, true]])
      assert.deepStrictEqual(world.repairs, [[a, 5], [c, 5]])
    }))

  it.effect("asks another replica for the cell when one fails", () =>
    Effect.gen(function*() {
      const { coordinator, world } = yield* startCoordinator()
      world.read.set(a, () => Effect.fail(failedBy(a, "recovering")))
      world.read.set(b, holding(cellOf(5)))
      world.read.set(c, holding(cellOf(5)))
      assert.deepStrictEqual(yield* coordinator.get(key), { cell: cellOf(5), answers: 2, replicas: 3 })
      assert.deepStrictEqual(world.reads, [[a, true], [c, true], [b, false]])
    }))

  it.effect("asks another replica for the cell when one is slow, and leaves the slow one", () =>
    Effect.gen(function*() {
      const { coordinator, world } = yield* startCoordinator()
      const cell = cellOf(5)
      // It learns nothing of other replicas from its own disk.
      world.read.set(a, () => Effect.delay(holding(cell)({ key, full: true }), "30 millis"))
      const own = yield* Effect.forkChild(Effect.replicateEffect(coordinator.get(key, { r: 1 }), 64))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(own)
      world.reads.splice(0)
      for (const node of [a, c]) world.read.set(node, holding(cell))
      world.read.set(b, () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => world.read.delete(b))))
      const get = yield* Effect.forkChild(coordinator.get(key))
      yield* TestClock.adjust("49 millis")
      assert.deepStrictEqual(world.reads, [[a, true], [b, false]])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(get), { cell, answers: 2, replicas: 3 })
      assert.deepStrictEqual(world.reads.at(-1), [c, true])
      assert.isFalse(world.read.has(b))
    }))

  it.effect("asks the replica that answered faster lately, and learns nothing from failures", () =>
    Effect.gen(function*() {
      const { coordinator, world } = yield* startCoordinator()
      const slowly = (answer: ReturnType<Read>): Read => () => Effect.delay(answer, "10 millis")
      const asked = Effect.fnUntraced(function*(r: number) {
        const before = world.reads.length
        const get = yield* Effect.forkChild(coordinator.get(key, { r }))
        yield* TestClock.adjust("10 millis")
        yield* Fiber.join(get)
        return world.reads.slice(before).map(([node]) => node)
      })
      world.read.set(b, slowly(Effect.fail(failedBy(b))))
      assert.deepStrictEqual(yield* asked(2), [a, b, c])
      assert.deepStrictEqual(yield* asked(2), [a, b, c])
      world.read.set(b, slowly(Effect.succeed({ version: undefined, cell: undefined })))
      assert.deepStrictEqual(yield* asked(2), [a, b])
      assert.deepStrictEqual(yield* asked(2), [a, c])
    }))

  it.effect("names every reason, also when the replica asked in the place of one fails at once too", () =>
    Effect.gen(function*() {
      const { coordinator, world } = yield* startCoordinator()
      world.read.set(b, () => Effect.fail(failedBy(b, "recovering")))
      world.read.set(c, () => Effect.fail(failedBy(c, "overloaded")))
      const failure = yield* Effect.flip(coordinator.get(key))
      assert.deepStrictEqual(failure.failures, [{ node: b, reason: "recovering" }, { node: c, reason: "overloaded" }])
      assert.strictEqual(failure.message, "a read needs 2 replicas, 1 of 3 answered (b: recovering, c: overloaded)")
    }))

  it.effect("does without a replica that is lost between saying that it has something newer and handing it over", () =>
    Effect.gen(function*() {
      const { coordinator, world } = yield* startCoordinator()
      world.read.set(a, holding(cellOf(1)))
      world.read.set(b, ({ full }) => {
        world.read.set(b, () => Effect.fail(failedBy(b, "unreachable")))
        return full ? Effect.fail(failedBy(b, "unreachable")) : Effect.succeed({ version: version(2), cell: undefined })
      })
      world.read.set(c, holding(cellOf(1)))
      assert.deepStrictEqual(yield* coordinator.get(key), { cell: cellOf(1), answers: 2, replicas: 3 })
    }))

  it.effect("ends when holders are lost again and again", () =>
    Effect.gen(function*() {
      const { coordinator, world } = yield* startCoordinator()
      world.read.set(a, holding(cellOf(1)))
      world.read.set(b, ({ full }) =>
        full ? Effect.fail(failedBy(b, "storage")) : Effect.succeed({ version: version(2), cell: undefined }))
      const failure = yield* Effect.flip(coordinator.get(key))
      assert.deepInclude(failure, { _tag: "ReadQuorumNotReached", got: 0, wanted: 2 })
      const asked = world.reads.filter(([node, full]) =>
        node === b && full
      )
      assert.lengthOf(asked, 3)
    }))

  it.effect("reads from as many as the request asks for, and no replica that is down", () =>
    Effect.gen(function*() {
      const { coordinator, world } = yield* startCoordinator()
      world.liveness.set(b, "down")
      assert.strictEqual((yield* coordinator.get(key, { r: 1 })).answers, 1)
      assert.deepStrictEqual(world.reads, [[a, true]])
      const failure = yield* Effect.flip(coordinator.get(key, { r: 3 }))
      assert.deepInclude(failure, { wanted: 3, replicas: 3 })
      assert.deepInclude([...failure.failures], { node: b, reason: "down" })
    }))

  it.effect("takes no longer than the request's timeout, for reading and repairing together", () =>
    Effect.gen(function*() {
      const { coordinator, world } = yield* startCoordinator()
      world.read.set(a, holding(cellOf(5)))
      world.read.set(b, () => Effect.delay(holding(cellOf(4))({ key, full: false }), "200 millis"))
      world.read.set(c, () => Effect.never)
      for (const node of [b, c]) world.write.set(node, () => Effect.never)
      const get = coordinator.get(key, { timeout: Duration.millis(300) })
      assert.deepInclude(yield* endingAfter(300, Effect.flip(get)), { wanted: 2, got: 1 })
      assert.deepStrictEqual(world.repairs, [[b, 5]])
    }))
})
