import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { LostRanges } from "../../src/anti-entropy/LostRanges.ts"
import { Reconciler } from "../../src/anti-entropy/Reconciler.ts"
import { ClusterConfig } from "../../src/config/ClusterConfig.ts"
import { NodeConfig } from "../../src/config/NodeConfig.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import { Key } from "../../src/domain/Key.ts"
import type { NodeId } from "../../src/domain/NodeId.ts"
import { Gossip, type Liveness } from "../../src/gossip/Gossip.ts"
import { PeerClient } from "../../src/peer/PeerClient.ts"
import { Intake } from "../../src/replication/Intake.ts"
import { Ring } from "../../src/ring/Ring.ts"
import * as Holes from "../../src/storage/manifest/Holes.ts"
import { Storage } from "../../src/storage/Storage.ts"
import { a, b, c, cell, d, failedBy, settle, version } from "../coordinator/requests.ts"
import { plain } from "../domain/arbitraries.ts"
import { type FakeStorage, gossip, hole, layerMock, storage } from "../replicator/fakes.ts"

const tombstone = (key: string, counter: number): Cell => ({ ...cell(key, counter), value: undefined })

/** Twelve times the timeout of a replica, which is a second. */
const grace = TestClock.adjust("12 seconds")
const round = Effect.andThen(TestClock.adjust("1 second"), settle)

interface World {
  nodes: Array<NodeId>
  preferenceLists: Array<ReadonlyArray<NodeId>>
  epoch: number
  readonly liveness: Map<NodeId, Liveness>
  readonly stores: Map<string, FakeStorage>
  /** Ranges asked for, by address. */
  readonly asked: Array<string>
  filled: number
  /** Runs when a peer is asked for versions. */
  onVersions: () => void
}

/** The lost ranges of `a`, which holds `mine` and lost cells in the holes. */
const start = Effect.fnUntraced(function*(
  mine: ReadonlyArray<Cell>,
  theirs: Readonly<Record<string, ReadonlyArray<Cell>>>,
  holes: ReadonlyArray<Holes.Hole> = [hole("b", "y")],
  changes?: Partial<PeerClient["Service"]>
) {
  const here = storage(mine)
  here.holes = holes
  const world: World = {
    nodes: [a, b, c],
    preferenceLists: [[a, b, c]],
    epoch: 1,
    liveness: new Map(),
    stores: new Map(Object.entries({ b: [], c: [], ...theirs }).map(([node, cells]) => [`${node}:1`, storage(cells)])),
    asked: [],
    filled: 0,
    onVersions: () => {}
  }
  const storeOf = (address: string) => world.stores.get(address)!.service
  const failed = () => failedBy(b, "storage")
  const services = yield* Layer.build(
    Layer.fresh(LostRanges.layer).pipe(
      Layer.provide([
        ClusterConfig.layerTest(),
        NodeConfig.layerTest({ replicaTimeout: Duration.seconds(1) }),
        Layer.succeed(Gossip, gossip(a, world)),
        layerMock(Intake, { giveBack: (cells, fills) => here.service.apply(cells, { fills }) }),
        layerMock(PeerClient, {
          versions: (address, _partitions, range) => {
            world.asked.push(`${address} ${range!.from}..${range!.to}`)
            world.onVersions()
            return Stream.mapError(storeOf(address).scan(range), failed)
          },
          cells: (address, keys) =>
            Stream.fromIterable(keys).pipe(
              Stream.mapEffect((key) => Effect.mapError(storeOf(address).get(key), failed)),
              Stream.filter((found) => found !== undefined)
            ),
          ...changes
        }),
        layerMock(Reconciler, { missedLocally: () => void world.filled++ }),
        layerMock(Ring, {
          current: () => ({ epoch: world.epoch, nodes: world.nodes, preferenceLists: world.preferenceLists }),
          partitionOf: () => 0
        }),
        Layer.succeed(Storage, here.service)
      ])
    )
  )
  yield* settle
  const held = (key: string) => plain(here.cells.get(Key.make(key)))
  return { here, world, held, status: Context.get(services, LostRanges).status }
})

describe("LostRanges", () => {
  it.effect("gives back the newest that any other replica holds, keeps what is newer here, and closes the hole", () =>
    Effect.gen(function*() {
      const { held, here, status, world } = yield* start(
        [cell("a", 1), cell("k", 7), cell("m", 1)],
        {
          b: [cell("a", 8), cell("c", 3), cell("d", 2), cell("k", 6), tombstone("m", 5), cell("z", 4)],
          c: [cell("c", 2), cell("d", 4), cell("e", 1)]
        }
      )
      yield* grace
      yield* round
      assert.deepStrictEqual(here.holes, [])
      assert.deepStrictEqual(
        ["c", "d", "e", "k"].map(held),
        [cell("c", 3), cell("d", 4), cell("e", 1), cell("k", 7)].map(plain)
      )
      assert.deepStrictEqual(held("m"), plain(tombstone("m", 5)))
      // Outside of the hole nothing was lost.
      assert.deepStrictEqual([held("a"), held("z")], [plain(cell("a", 1)), undefined])
      assert.deepInclude(status(), { rangesFilled: 1, cellsGivenBack: 4 })
      assert.strictEqual(world.filled, 1)
      yield* round
      assert.strictEqual(status().state, "idle")
      assert.deepStrictEqual(world.asked, ["b:1 b..y", "c:1 b..y"])
    }))

  it.effect("lets reads and writes end that were under way, and asks nobody before", () =>
    Effect.gen(function*() {
      const { here, status, world } = yield* start([], {})
      yield* TestClock.adjust("11 seconds")
      assert.deepStrictEqual(world.asked, [])
      assert.deepInclude(status(), { state: "waiting", reason: "for earlier reads and writes to finish" })
      yield* round
      assert.strictEqual(world.asked.length, 2)
      assert.deepStrictEqual(here.holes, [])
    }))

  it.effect("waits for a replica that is not up, says for which, and fills the hole when it is back", () =>
    Effect.gen(function*() {
      const { here, status, world } = yield* start([], { c: [cell("k", 3)] })
      world.liveness.set(c, "down")
      yield* grace
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(world.asked, [])
      assert.deepInclude(status(), { state: "waiting", reason: "for c, which is down" })
      assert.strictEqual(here.holes.length, 1)
      world.liveness.delete(c)
      yield* round
      assert.deepStrictEqual(here.holes, [])
      assert.strictEqual(here.cells.size, 1)
    }))

  it.effect("does not take the word of a replica that has lost something there itself, and asks again and again", () =>
    Effect.gen(function*() {
      const { here, status, world } = yield* start([], { b: [cell("k", 3)] })
      const other = world.stores.get("c:1")!
      other.holes = [hole("x", "z")]
      yield* grace
      assert.strictEqual(here.holes.length, 1)
      assert.strictEqual(here.cells.size, 0, "nothing is taken in before all have answered")
      assert.deepInclude(status(), { state: "failed" })
      assert.include(status().reason, "storage")
      world.asked.length = 0
      yield* TestClock.adjust("10 minutes")
      // After 2, 4, 8 and 16 seconds, then every 30.
      assert.approximately(world.asked.length / 2, 4 + (600 - 30) / 31, 2)
      other.holes = [hole("y", "z")]
      yield* TestClock.adjust("31 seconds")
      assert.deepStrictEqual(here.holes, [])
      assert.deepStrictEqual(plain(here.cells.get(Key.make("k"))), plain(cell("k", 3)))
    }))

  it.effect("fills the ranges behind one that cannot be filled", () =>
    Effect.gen(function*() {
      const first = hole("b", "d")
      const { here, status, world } = yield* start([], { c: [cell("n", 3)] }, [first, hole("m", "p", 4096)])
      world.stores.get("b:1")!.holes = [first]
      yield* grace
      yield* settle
      assert.deepStrictEqual([here.holes, here.cells.size], [[first], 1])
      assert.deepInclude(status(), { state: "failed", rangesFilled: 1 })
    }))

  it.effect("leaves holes that appear meanwhile, and fills them in their turn", () =>
    Effect.gen(function*() {
      const first = hole("b", "d")
      const second = hole("m", "p", 4096)
      const { here, world } = yield* start([], { c: [cell("n", 3)] }, [first])
      world.onVersions = () => {
        here.holes = [first, second]
      }
      yield* grace
      yield* settle
      assert.deepStrictEqual(here.holes, [second])
      world.onVersions = () => {}
      yield* grace
      yield* round
      assert.deepStrictEqual([here.holes, here.cells.size], [[], 1])
    }))

  it.effect("asks for holes that touch as for one, and for others by themselves", () =>
    Effect.gen(function*() {
      const holes = [hole("m", "p", 3), hole("d", "f", 2), hole("b", "d", 1), hole("c", "e", 4)]
      const { here, status, world } = yield* start([], {}, holes)
      yield* grace
      yield* settle
      assert.deepStrictEqual(world.asked, ["b:1 b..f", "c:1 b..f", "b:1 m..p", "c:1 m..p"])
      assert.deepStrictEqual(here.holes, [])
      assert.strictEqual(status().rangesFilled, 2)
    }))

  it.effect("walks each replica once, however many cells come back", () =>
    Effect.gen(function*() {
      const name = (index: number) => `k${String(index).padStart(6, "0")}`
      const every = (step: number, counter: number) =>
        Array.from({ length: Math.ceil(5000 / step) }, (_, index) => cell(name(index * step), counter))
      const { here, world } = yield* start([], { b: every(1, 1), c: every(2, 2) }, [hole("k", "l")])
      yield* grace
      // How many turns of the event loop this takes depends on the machine.
      while (here.holes.length > 0) yield* settle
      assert.strictEqual(here.cells.size, 5000)
      assert.isTrue(
        Array.from(here.cells.values()).every(({ key, version: { counter } }) =>
          counter === (Number(key.slice(1)) % 2 === 0 ? 2 : 1)
        )
      )
      assert.deepStrictEqual(world.asked, ["b:1 k..l", "c:1 k..l"])
    }))

  it.effect.each<readonly [replica: string, changes: Partial<PeerClient["Service"]>, reason: string]>([
    ["keeps a cell that it listed", { cells: () => Stream.make(cell("k", 2)) }, "did not hand over 1 cells"],
    ["lists other keys than it was asked for", {
      versions: () => Stream.make({ key: Key.make("z"), version: version(1) })
    }, "keys that it was not asked for"],
    ["does not answer", { versions: () => Stream.never }, "no answer within 30s"]
  ])("keeps the hole while a replica %s", ([, changes, reason]) =>
    Effect.gen(function*() {
      const { here, status } = yield* start([], { b: [cell("k", 3)] }, undefined, changes)
      yield* grace
      yield* TestClock.adjust("31 seconds")
      assert.deepStrictEqual([here.holes.length, here.cells.size, status().state], [1, 0, "failed"])
      assert.include(status().reason, reason)
    }))

  it.effect("asks a node that joined meanwhile before it closes a hole", () =>
    Effect.gen(function*() {
      const { here, world } = yield* start([], { d: [cell("k", 3)] })
      world.onVersions = () => {
        world.epoch = 2
        world.nodes = [a, b, c, d]
        world.preferenceLists = [[a, b, d]]
      }
      yield* grace
      assert.strictEqual(here.holes.length, 1)
      yield* round
      assert.deepStrictEqual([here.holes, here.cells.size], [[], 1])
      // No longer a replica of anything that this node has.
      assert.deepStrictEqual(world.asked.slice(2), ["b:1 b..y", "d:1 b..y"])
    }))

  it.effect("keeps the hole where nobody else has replicas, for an operator to decide", () =>
    Effect.gen(function*() {
      const { here, status, world } = yield* start([], {})
      world.nodes = [a]
      world.preferenceLists = [[a]]
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(status(), { state: "waiting", reason: "until other nodes are known" })
      world.nodes = [a, b]
      world.preferenceLists = [[a], [b]]
      yield* round
      assert.include(status().reason, "forget-lost: no other node has replicas")
      assert.deepStrictEqual([here.holes.length, world.asked], [1, []])
    }))

  it.effect("tries again when the hole cannot be closed", () =>
    Effect.gen(function*() {
      const { here, status } = yield* start([], {})
      const { closeHoles } = here.service
      Object.assign(here.service, { closeHoles: () => Effect.fail(Holes.corruption(hole("b", "y"))) })
      yield* grace
      assert.deepInclude(status(), { state: "failed", rangesFilled: 0 })
      Object.assign(here.service, { closeHoles })
      yield* TestClock.adjust("3 seconds")
      yield* settle
      assert.deepStrictEqual(here.holes, [])
    }))
})
