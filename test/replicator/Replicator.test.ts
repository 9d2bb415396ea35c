import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Holdings } from "../../src/anti-entropy/Holdings.ts"
import { LostRanges } from "../../src/anti-entropy/LostRanges.ts"
import { Reconciler } from "../../src/anti-entropy/Reconciler.ts"
import { Recovery } from "../../src/anti-entropy/Recovery.ts"
import { LamportClock } from "../../src/clock/LamportClock.ts"
import { ClusterConfig } from "../../src/config/ClusterConfig.ts"
import { NodeConfig } from "../../src/config/NodeConfig.ts"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import { Identity } from "../../src/disk/Identity.ts"
import { DiskFull } from "../../src/disk/StorageError.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import { Key } from "../../src/domain/Key.ts"
import type { NodeId } from "../../src/domain/NodeId.ts"
import { Gossip, type Liveness } from "../../src/gossip/Gossip.ts"
import { Metrics } from "../../src/observability/Metrics.ts"
import { PeerClient, type ReadAnswer, type WriteAnswer } from "../../src/peer/PeerClient.ts"
import type { PeerFailed } from "../../src/peer/PeerError.ts"
import { Hints } from "../../src/replication/Hints.ts"
import { Intake } from "../../src/replication/Intake.ts"
import { Peers } from "../../src/replication/Peers.ts"
import { Replicator } from "../../src/replicator/Replicator.ts"
import { Ring } from "../../src/ring/Ring.ts"
import { Storage } from "../../src/storage/Storage.ts"
import { a, b, c, cellOf, key, settle, version } from "../coordinator/requests.ts"
import { gossip, mock, storage } from "./fakes.ts"

const accepted: WriteAnswer = { _tag: "Accepted", replaced: false }
const cell = (name: string, counter = 1): Cell => ({ ...cellOf(counter), key: Key.make(name) })

/** The replicator of `a`, whose storage is in memory and whose peers take every cell. */
const start = Effect.fnUntraced(
  function*(
    options?: { readonly fresh?: boolean; readonly salvaged?: boolean; readonly cells?: ReadonlyArray<Cell> }
  ) {
    const stored = storage(options?.cells)
    Object.assign(stored.service, { salvaged: options?.salvaged ?? false })
    const world = {
      liveness: new Map<NodeId, Liveness>([[b, "down"], [c, "down"]]),
      observed: [] as Array<number>,
      written: [] as Array<string>,
      answer: { version: version(9), cell: undefined } as ReadAnswer
    }
    const services = yield* Layer.build(
      Replicator.layer.pipe(
        Layer.provide(LostRanges.layer),
        Layer.provide(Reconciler.layer),
        Layer.provide(Holdings.layer),
        Layer.provide([Hints.layer, Intake.layer, Peers.layer, Recovery.layer]),
        Layer.provide(Ring.layerFixed([a, b, c])),
        Layer.provide([
          ClusterConfig.layerTest({ partitions: 4 }),
          NodeConfig.layerTest(),
          DiskMemory.make(1).layer,
          Metrics.layer,
          Identity.layerFixed({ nodeId: a, fresh: options?.fresh ?? false }),
          Layer.succeed(Storage, stored.service),
          Layer.succeed(Gossip, gossip(a, world)),
          Layer.succeed(
            LamportClock,
            mock<LamportClock["Service"]>({
              observe: (counter) => {
                world.observed.push(counter)
                return counter < 1000
              }
            })
          ),
          Layer.succeed(
            PeerClient,
            mock<PeerClient["Service"]>({
              write: (address, cells) =>
                Effect.sync(() => {
                  world.written.push(`${address} ${cells.map(({ version }) => version.counter).join()}`)
                  return cells.map(() => accepted)
                }),
              read: (_address, requests) => Effect.sync(() => requests.map(() => world.answer))
            })
          )
        ])
      )
    )
    yield* settle
    return { replicator: Context.get(services, Replicator), stored, world }
  }
)

describe("Replicator", () => {
  it.effect("writes to this node by a call and to others by a message", () =>
    Effect.gen(function*() {
      const { replicator, stored, world } = yield* start()
      assert.deepStrictEqual(yield* replicator.write(a, cellOf(1)), accepted)
      assert.strictEqual(stored.cells.get(key)?.version.counter, 1)
      assert.deepStrictEqual(yield* replicator.write(b, cellOf(2)), accepted)
      assert.deepStrictEqual(world.written, ["b:1 2"])
      assert.strictEqual(stored.cells.get(key)?.version.counter, 1)
    }))

  it.effect("says which newer version this node holds", () =>
    Effect.gen(function*() {
      const { replicator } = yield* start({ cells: [cellOf(5)] })
      assert.deepStrictEqual(yield* replicator.write(a, cellOf(4)), { _tag: "Superseded", newest: version(5) })
    }))

  it.effect("reports a failing disk as its own reason, whatever was asked", () =>
    Effect.gen(function*() {
      const { replicator, stored } = yield* start()
      stored.failure = new DiskFull({ path: "data" })
      const attempts: ReadonlyArray<Effect.Effect<unknown, PeerFailed>> = [
        replicator.write(a, cellOf(1)),
        replicator.read(a, { key, full: true }),
        replicator.read(a, { key, full: false })
      ]
      for (const attempt of attempts) {
        assert.deepInclude(yield* Effect.flip(attempt), { _tag: "PeerFailed", peer: a, reason: "storage" })
      }
      assert.strictEqual((yield* Effect.flip(replicator.receive([cellOf(1)])))._tag, "DiskFull")
      assert.deepStrictEqual(yield* replicator.answer([{ key, full: true }]), [
        { version: undefined, cell: undefined, isUnreadable: true }
      ])
    }))

  it.effect("reads the cell or its version alone, here and there, and remembers the counters that it sees there", () =>
    Effect.gen(function*() {
      const { replicator, world } = yield* start({ cells: [cellOf(5)] })
      assert.deepStrictEqual(yield* replicator.read(a, { key, full: true }), { version: version(5), cell: cellOf(5) })
      assert.deepStrictEqual(yield* replicator.read(a, { key, full: false }), { version: version(5), cell: undefined })
      assert.deepStrictEqual(yield* replicator.read(b, { key, full: false }), world.answer)
      world.answer = { version: undefined, cell: undefined }
      assert.deepStrictEqual(yield* replicator.read(b, { key, full: false }), world.answer)
      assert.deepStrictEqual(world.observed, [9])
    }))

  it.effect("takes a peer's cells in and remembers their counters", () =>
    Effect.gen(function*() {
      const { replicator, stored, world } = yield* start({ cells: [cell("y", 7)] })
      assert.deepStrictEqual(yield* replicator.receive([cell("x", 5), cell("y", 6)]), [
        accepted,
        { _tag: "Superseded", newest: version(7) }
      ])
      assert.deepStrictEqual(world.observed, [6])
      assert.strictEqual(stored.cells.size, 2)
    }))

  it.effect("takes nothing in of a batch with a version absurdly far ahead", () =>
    Effect.gen(function*() {
      const { replicator, stored } = yield* start()
      const failure = yield* Effect.flip(replicator.receive([cell("x", 5), cell("y", 5000)]))
      assert.deepInclude(failure, { _tag: "PeerFailed", reason: "refused" })
      assert.include(failure.message, "its counter 5000 is absurdly far ahead")
      assert.strictEqual(stored.cells.size, 0)
    }))

  it.effect("answers peers' reads in their order", () =>
    Effect.gen(function*() {
      const { replicator } = yield* start({ cells: [cell("x", 5)] })
      const asked = [{ key: Key.make("none"), full: true }, { key: Key.make("x"), full: false }, {
        key: Key.make("x"),
        full: true
      }]
      assert.deepStrictEqual(yield* replicator.answer(asked), [
        { version: undefined, cell: undefined },
        { version: version(5), cell: undefined },
        { version: version(5), cell: cell("x", 5) }
      ])
    }))

  it.effect("answers no reads and vouches for no write while it may have lost what it acknowledged, but stores", () =>
    Effect.gen(function*() {
      const { replicator, stored } = yield* start({ fresh: true })
      assert.deepInclude(yield* Effect.flip(replicator.read(a, { key, full: true })), { peer: a, reason: "recovering" })
      assert.deepInclude(yield* Effect.flip(replicator.answer([{ key, full: false }])), { reason: "recovering" })
      const uncounted = { _tag: "Uncounted", reason: "recovering" }
      assert.deepStrictEqual<unknown>(yield* replicator.write(a, cellOf(1)), uncounted)
      assert.deepStrictEqual<unknown>(yield* replicator.receive([cell("x", 5)]), [uncounted])
      assert.strictEqual(stored.cells.size, 2)
      assert.isTrue((yield* replicator.status).recovering)
    }))

  it.effect("counts a repair when it is sent, not when it is only prepared", () =>
    Effect.gen(function*() {
      const { replicator, world } = yield* start()
      const repair = replicator.repair(b, cellOf(3))
      assert.strictEqual((yield* replicator.status).readRepairs, 0)
      yield* repair
      assert.strictEqual((yield* replicator.status).readRepairs, 1)
      assert.deepStrictEqual(world.written, ["b:1 3"])
    }))

  it.effect("keeps hints for absent peers and delivers them when they are back", () =>
    Effect.gen(function*() {
      const { replicator, world } = yield* start()
      replicator.hint(b, cellOf(4))
      assert.deepInclude((yield* replicator.status).hints[0]!, { peer: b, pending: 1 })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(world.written, [])
      world.liveness.set(b, "up")
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.deepStrictEqual(world.written, ["b:1 4"])
      assert.deepInclude((yield* replicator.status).hints[0]!, { pending: 0, delivered: 1 })
    }))

  it.effect("counts for nothing after its store was salvaged, until it has compared", () =>
    Effect.gen(function*() {
      const { replicator } = yield* start({ salvaged: true, cells: [cellOf(5)] })
      assert.isTrue((yield* replicator.status).recovering)
      assert.deepInclude(yield* Effect.flip(replicator.read(a, { key, full: true })), { reason: "recovering" })
    }))
})
