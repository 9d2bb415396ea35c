import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { LostRanges } from "../../src/anti-entropy/LostRanges.ts"
import { Reconciler } from "../../src/anti-entropy/Reconciler.ts"
import { Recovery } from "../../src/anti-entropy/Recovery.ts"
import { LamportClock } from "../../src/clock/LamportClock.ts"
import { NodeConfig } from "../../src/config/NodeConfig.ts"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import { Identity } from "../../src/disk/Identity.ts"
import { DiskFull } from "../../src/disk/StorageError.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import { Key } from "../../src/domain/Key.ts"
import { Gossip } from "../../src/gossip/Gossip.ts"
import { Metrics } from "../../src/observability/Metrics.ts"
import { PeerClient, type ReadAnswer, type WriteAnswer } from "../../src/peer/PeerClient.ts"
import type { PeerFailed } from "../../src/peer/PeerError.ts"
import { Hints } from "../../src/replication/Hints.ts"
import { Intake } from "../../src/replication/Intake.ts"
import { Peers } from "../../src/replication/Peers.ts"
import { Replicator } from "../../src/replicator/Replicator.ts"
import { Storage } from "../../src/storage/Storage.ts"
import { a, b, c, cell, cellOf, endingAfter, failedBy, key, version } from "../coordinator/requests.ts"
import { gossip, layerMock, mock, storage } from "./fakes.ts"

const accepted: WriteAnswer = { _tag: "Accepted", replaced: false }

/** The replicator of `a`, whose storage is in memory and whose peers take every cell. */
const start = Effect.fnUntraced(
  function*(
    options?: { readonly fresh?: boolean; readonly salvaged?: boolean; readonly cells?: ReadonlyArray<Cell> }
  ) {
    const stored = storage(options?.cells)
    Object.assign(stored.service, { salvaged: options?.salvaged ?? false })
    const world = {
      observed: [] as Array<number>,
      written: [] as Array<string>,
      writing: Effect.void as Effect.Effect<void, PeerFailed>,
      missed: 0,
      answer: { version: version(9), cell: undefined } as ReadAnswer
    }
    const services = yield* Layer.build(
      Replicator.layer.pipe(
        Layer.provide([Hints.layer, Intake.layer, Peers.layer, Recovery.layer]),
        Layer.provide([
          NodeConfig.layerTest(),
          DiskMemory.make(1).layer,
          Metrics.layer,
          Identity.layerFixed({ nodeId: a, fresh: options?.fresh ?? false }),
          Layer.succeed(Storage, stored.service),
          Layer.succeed(Gossip, gossip(a, { liveness: new Map() })),
          layerMock(LostRanges, { status: () => mock({}) }),
          layerMock(Reconciler, { missedLocally: () => void world.missed++, status: () => [] }),
          layerMock(LamportClock, {
            observe: (counter) => {
              world.observed.push(counter)
              return counter < 1000
            }
          }),
          layerMock(PeerClient, {
            write: (address, cells) =>
              Effect.suspend(() => {
                world.written.push(`${address} ${cells.map(({ version }) => version.counter).join()}`)
                return Effect.as(world.writing, cells.map(() => accepted))
              }),
            read: (_address, requests) => Effect.sync(() => requests.map(() => world.answer))
          })
        ])
      )
    )
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

  it.effect("reports a failing disk as its own reason, for reads and writes", () =>
    Effect.gen(function*() {
      const { replicator, stored, world } = yield* start()
      stored.failure = new DiskFull({ path: "data" })
      const attempts: ReadonlyArray<Effect.Effect<unknown, PeerFailed>> = [
        replicator.write(a, cellOf(1)),
        replicator.read(a, { key, full: true }),
        replicator.read(a, { key, full: false })
      ]
      for (const attempt of attempts) {
        assert.deepInclude(yield* Effect.flip(attempt), { _tag: "PeerFailed", peer: a, reason: "storage" })
      }
      assert.strictEqual(world.missed, 1, "a comparison makes up for the write")
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

  it.effect.each([{ fresh: true }, { salvaged: true }])(
    "answers no reads and vouches for no write while it may have lost what it acknowledged, but stores: %j",
    (lost) =>
      Effect.gen(function*() {
        const { replicator, stored } = yield* start(lost)
        assert.deepInclude(yield* Effect.flip(replicator.read(a, { key, full: true })), {
          peer: a,
          reason: "recovering"
        })
        assert.deepInclude(yield* Effect.flip(replicator.answer([{ key, full: false }])), { reason: "recovering" })
        const uncounted = { _tag: "Uncounted", reason: "recovering" }
        assert.deepStrictEqual<unknown>(yield* replicator.write(a, cellOf(1)), uncounted)
        assert.deepStrictEqual<unknown>(yield* replicator.receive([cell("x", 5)]), [uncounted])
        assert.strictEqual(stored.cells.size, 2)
        assert.isTrue((yield* replicator.status).recovering)
      })
  )

  it.effect("counts a repair when it is sent, not when it is only prepared", () =>
    Effect.gen(function*() {
      const { replicator, world } = yield* start()
      const repair = replicator.repair(b, cellOf(3))
      assert.strictEqual((yield* replicator.status).readRepairs, 0)
      yield* repair
      assert.strictEqual((yield* replicator.status).readRepairs, 1)
      assert.deepStrictEqual(world.written, ["b:1 3"])
    }))

  it.effect("keeps a hint for another node that fails to take a write, however late, but not for a repair or itself", () =>
    Effect.gen(function*() {
      const { replicator, stored, world } = yield* start()
      world.writing = Effect.andThen(Effect.sleep("500 millis"), Effect.fail(failedBy(b)))
      stored.failure = new DiskFull({ path: "data" })
      yield* Effect.forkChild(replicator.repair(c, cellOf(4)))
      assert.strictEqual((yield* Effect.flip(replicator.write(a, cellOf(4)))).reason, "storage")
      assert.strictEqual((yield* endingAfter(500, Effect.flip(replicator.write(b, cellOf(4))))).reason, "timeout")
      const { hints } = yield* replicator.status
      assert.deepStrictEqual(hints.map(({ peer, pending }) => [peer, pending]), [[b, 1]])
    }))
})
