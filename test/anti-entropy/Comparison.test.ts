import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Array as Arr, Effect, Fiber, Layer, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Comparison from "../../src/anti-entropy/Comparison.ts"
import * as PartitionDigest from "../../src/anti-entropy/PartitionDigest.ts"
import * as Replica from "../../src/anti-entropy/Replica.ts"
import { ClusterConfig } from "../../src/config/ClusterConfig.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import { compare, Key } from "../../src/domain/Key.ts"
import type { NodeId } from "../../src/domain/NodeId.ts"
import type { Digests, PeerClient } from "../../src/peer/PeerClient.ts"
import { Ring } from "../../src/ring/Ring.ts"
import type { Hole } from "../../src/storage/manifest/Holes.ts"
import { a, b, c, cellOf, d, failedBy, settle, version } from "../coordinator/requests.ts"
import { plain } from "../domain/arbitraries.ts"
import { type FakeStorage, mock, storage } from "../replicator/fakes.ts"

const partitions = 16

const ringOf = (nodes: ReadonlyArray<NodeId>) =>
  Effect.service(Ring).pipe(
    Effect.provide(
      Ring.layerFixed(nodes).pipe(
        Layer.provide(ClusterConfig.layerTest({ partitions, replicationFactor: 2, writeQuorum: 1, readQuorum: 1 }))
      )
    )
  )

/** Two copies on four nodes, so that `a` and `b` share some partitions and not others. */
const fourNodes = [a, b, c, d]

const cell = (key: string, counter: number): Cell => ({ ...cellOf(counter, `${key} ${counter}`), key: Key.make(key) })

const digestsOf = (ring: Ring["Service"], { cells, holes }: FakeStorage): Digests => {
  const digests = PartitionDigest.make(partitions)
  for (const cell of cells.values()) digests.add(ring.partitionOf(cell.key), cell)
  return { digests: digests.format(), isDamaged: holes.length > 0 }
}

/** `a`, which compares, and `b`, with these cells; and what travelled between them. */
const between = Effect.fnUntraced(function*(
  mine: ReadonlyArray<Cell>,
  theirs: ReadonlyArray<Cell>,
  changes?: Partial<PeerClient["Service"]>,
  nodes = fourNodes
) {
  const here = storage(mine)
  const there = storage(theirs)
  const current = yield* ringOf(nodes)
  const calls: Array<string> = []
  const progress = { differing: 0, received: 0, sent: 0 }
  const client = mock<PeerClient["Service"]>({
    digests: () => Effect.sync(() => digestsOf(current, there)),
    versions: (_address, wanted) => {
      calls.push(`versions of ${wanted.length}`)
      return Stream.orDie(there.service.scan({ damage: "skip" })).pipe(
        Stream.filter(({ key }) => wanted.includes(current.partitionOf(key)))
      )
    },
    cells: (_address, keys) => {
      calls.push(`cells of ${keys.length}`)
      return Stream.fromIterable(keys.flatMap((key) => there.cells.get(key) ?? []))
    },
    write: (_address, cells) => {
      calls.push(`write ${cells.length}`)
      return Effect.orDie(there.service.apply(cells))
    },
    ...changes
  })
  const run = Comparison.run({
    self: a,
    replica: Replica.make(client, current, b, "b:1"),
    storage: here.service,
    ring: current,
    digests: Effect.sync(() => digestsOf(current, here)),
    receive: (cells) => here.service.apply(cells),
    onProgress: (change) => Object.assign(progress, change)
  })
  const isShared = ({ key }: Cell) => {
    const nodes = current.preferenceList(key)
    return nodes.includes(a) && nodes.includes(b)
  }
  return { here, there, calls, progress, run, isShared }
})

const hole: Hole = { from: "", to: "", counterMax: 9, file: "data/000007.sst", offsetBytes: 0, reason: "on purpose" }

const names = Array.from({ length: 40 }, (_, index) => `key ${index}`)

const contents = ({ cells }: FakeStorage) =>
  Array.from(cells.values(), plain).toSorted((x, y) => x!.key < y!.key ? -1 : 1)

describe("Comparison", () => {
  it.effect("asks for nothing but digests when both sides agree", () =>
    Effect.gen(function*() {
      const cells = names.map((name) => cell(name, 1))
      const { calls, progress, run } = yield* between(cells, cells)
      yield* run
      assert.deepStrictEqual(calls, [])
      assert.deepStrictEqual(progress, { differing: 0, received: 0, sent: 0 })
    }))

  it.effect.prop("gives each side the newest cell of every key that both should hold, and moves no other", {
    held: Arbitrary.array(
      Arbitrary.all({
        name: Arbitrary.schema(Schema.Literals(names)),
        mine: Arbitrary.schema(Schema.Literals([0, 1, 2])),
        theirs: Arbitrary.schema(Schema.Literals([0, 1, 2]))
      }),
      { maxLength: 12 }
    )
  }, ({ held }) =>
    Effect.gen(function*() {
      const rows = Array.from(new Map(held.map((row) => [row.name, row])).values())
      const mine = rows.filter(({ mine }) => mine > 0).map(({ mine, name }) => cell(name, mine))
      const theirs = rows.filter(({ theirs }) => theirs > 0).map(({ name, theirs }) => cell(name, theirs))
      const { here, isShared, progress, run, there } = yield* between(mine, theirs)
      yield* run
      for (const { mine, name, theirs } of rows) {
        const newest = cell(name, Math.max(mine, theirs, 1))
        const [expectedHere, expectedThere] = isShared(newest)
          ? [Math.max(mine, theirs), Math.max(mine, theirs)]
          : [mine, theirs]
        assert.strictEqual(here.cells.get(newest.key)?.version.counter ?? 0, expectedHere, name)
        assert.strictEqual(there.cells.get(newest.key)?.version.counter ?? 0, expectedThere, name)
      }
      const shared = rows.filter(({ name }) => isShared(cell(name, 1)))
      assert.strictEqual(progress.sent, shared.filter(({ mine, theirs }) => mine > theirs).length)
      assert.strictEqual(progress.received, shared.filter(({ mine, theirs }) => theirs > mine).length)
    }))

  it.effect("carries tombstones like values", () =>
    Effect.gen(function*() {
      const setup = yield* between([], [])
      const name = names.find((name) => setup.isShared(cell(name, 1)))!
      const { here, run, there } = yield* between([{ ...cell(name, 2), value: undefined }], [cell(name, 1)])
      yield* run
      assert.deepStrictEqual(contents(there), contents(here))
      assert.isUndefined(there.cells.get(Key.make(name))!.value)
    }))

  it.effect("gives and takes what can be read when a side has damage, and says whether the peer told of everything", () =>
    Effect.gen(function*() {
      const setup = yield* between([], [])
      const [first, second, third] = names.map((name) => cell(name, 1)).filter(setup.isShared) as [Cell, Cell, Cell]
      for (const isDamaged of [false, true]) {
        const { here, run, there } = yield* between([first, second], [second, third])
        here.holes = [{ ...hole, from: second.key, to: `${second.key}!` }]
        if (isDamaged) there.holes = here.holes
        assert.strictEqual(yield* run, !isDamaged)
        assert.deepStrictEqual([here.cells.size, there.cells.size], [3, 3])
      }
    }))

  it.effect("moves nothing that both hold, though it lies in a partition that differs", () =>
    Effect.gen(function*() {
      const setup = yield* between([], [])
      const many = Array.from({ length: 1000 }, (_, index) => cell(`many ${index}`, 1)).filter(setup.isShared)
      const missing = many[0]!
      const receiving = yield* between(many.slice(1), many)
      yield* receiving.run
      assert.deepStrictEqual(receiving.calls, ["versions of 1", "cells of 1"])
      assert.deepStrictEqual(plain(receiving.here.cells.get(missing.key)), plain(missing))
      const sending = yield* between(many, many.slice(1))
      yield* sending.run
      assert.deepStrictEqual(sending.calls, ["versions of 1", "write 1"])
    }))

  it.effect("moves cells in batches that a request can hold", () =>
    Effect.gen(function*() {
      const setup = yield* between([], [])
      const many = Array.from({ length: 6000 }, (_, index) => cell(`many ${index}`, 1)).filter(setup.isShared).slice(
        0,
        600
      )
      const sending = yield* between(many, [])
      yield* sending.run
      assert.deepStrictEqual(sending.calls.slice(1), ["write 512", "write 88"])
      assert.strictEqual(sending.progress.sent, 600)
      const receiving = yield* between([], many)
      yield* receiving.run
      assert.deepStrictEqual(receiving.calls.slice(1), ["cells of 600"])
      assert.strictEqual(receiving.progress.received, 600)
    }))

  it.effect("fails when the peer stalls, at the timeout and not before, wherever it is", () =>
    Effect.gen(function*() {
      const setup = yield* between([], [])
      const [mine, theirs] = names.map((name) => cell(name, 1)).filter(setup.isShared) as [Cell, Cell]
      const stalls: ReadonlyArray<Partial<PeerClient["Service"]>> = [
        { digests: () => Effect.never },
        { versions: () => Stream.never },
        { write: () => Effect.never },
        { cells: () => Stream.never }
      ]
      for (const stall of stalls) {
        const { run } = yield* between([mine], [theirs], stall)
        const fiber = yield* Effect.forkChild(run)
        yield* settle
        yield* TestClock.adjust("29999 millis")
        assert.isUndefined(fiber.pollUnsafe(), Object.keys(stall)[0])
        yield* TestClock.adjust("1 millis")
        assert.deepInclude(yield* Effect.flip(Fiber.join(fiber)), { _tag: "PeerFailed", peer: b, reason: "timeout" })
      }
    }))

  it.effect("does not count the time that it takes itself as the peer's silence", () =>
    Effect.gen(function*() {
      const cells = names.map((name) => cell(name, 1)).toSorted((x, y) => compare(x.key, y.key))
      let taken = 0
      const versions = () => Stream.fromIterable(cells.slice(4, 8)).pipe(Stream.rechunk(1))
      const { here, run } = yield* between(cells.slice(0, 4), cells.slice(4, 8), { versions }, [a, b])
      const scan = here.service.scan
      Object.assign(here.service, {
        scan: () =>
          Stream.mapEffect(Stream.rechunk(scan(), 1), (cell) => Effect.delay(Effect.succeed(cell), "29 seconds")),
        apply: (cells: ReadonlyArray<Cell>) => Effect.delay(Effect.sync(() => taken += cells.length), "29 seconds")
      })
      const fiber = yield* Effect.forkChild(run)
      yield* TestClock.adjust("5 minutes")
      assert.isTrue(yield* Fiber.join(fiber))
      assert.strictEqual(taken, 4)
    }))

  it.effect("refuses keys out of order, keys of other partitions, and cells that it did not ask for", () =>
    Effect.gen(function*() {
      const { isShared } = yield* between([], [])
      const sorted = names.map((name) => cell(name, 1)).toSorted((x, y) => compare(x.key, y.key))
      const [first, second] = sorted.filter(isShared) as [Cell, Cell]
      const other = sorted.find((cell) => !isShared(cell))!
      const answers: ReadonlyArray<readonly [string, Partial<PeerClient["Service"]>]> = [
        ["keys out of order", { versions: () => Stream.make(second, first) }],
        ["keys out of order", { versions: () => Stream.make(first, first).pipe(Stream.rechunk(1)) }],
        ["keys that it was not asked for", { versions: () => Stream.make(other) }],
        ["keys that it was not asked for", { cells: () => Stream.make(other) }],
        ["keys that it was not asked for", { cells: () => Stream.make(first, first) }]
      ]
      for (const [detail, answer] of answers) {
        const { here, run } = yield* between([], [first, second], answer)
        assert.deepInclude(yield* Effect.flip(run), { _tag: "PeerFailed", peer: b, reason: "bad-answer", detail })
        assert.isFalse(here.cells.has(other.key))
      }
    }))

  it.effect("walks each side once and holds a chunk and a batch of each, though 200,000 cells differ", () =>
    Effect.gen(function*() {
      const eachSide = 100_000
      const chunk = 256
      const walks: Array<string> = []
      const held = { here: 0, there: 0 }
      const heldMax = { here: 0, there: 0 }
      /** Every other key is on this side alone. They count as held from here until they are sent, or fetched. */
      const walk = (side: "here" | "there") =>
        Stream.suspend(() => {
          walks.push(side)
          return Stream.range(1, eachSide).pipe(
            Stream.rechunk(chunk),
            Stream.mapArray((indexes) => {
              held[side] += indexes.length
              heldMax[side] = Math.max(heldMax[side], held[side])
              return Arr.map(indexes, (index) => cell(`${String(index).padStart(6, "0")} ${side}`, 1))
            })
          )
        })
      const { calls, here, progress, run } = yield* between([], [], {
        digests: () => Effect.succeed({ digests: [], isDamaged: false }),
        versions: () => walk("there"),
        write: (_address, cells) =>
          Effect.sync(() => {
            calls.push("write")
            held.here -= cells.length
            return []
          }),
        cells: (_address, keys) =>
          Stream.suspend(() => {
            calls.push("cells")
            held.there -= keys.length
            return Stream.fromIterable(keys).pipe(Stream.map((key) => ({ ...cellOf(1), key })))
          })
      }, [a, b])
      Object.assign(here.service, { scan: () => walk("here") })
      yield* run
      assert.deepStrictEqual(progress, { differing: partitions, received: eachSide, sent: eachSide })
      assert.deepStrictEqual(walks.toSorted(), ["here", "there"])
      assert.isAtMost(heldMax.here, 512 + chunk)
      assert.isAtMost(heldMax.there, 1024 + chunk)
      const requests = (kind: string) => calls.filter((call) => call === kind).length
      assert.deepStrictEqual([requests("write"), requests("cells")], [
        Math.ceil(eachSide / 512),
        Math.ceil(eachSide / 1024)
      ])
    }))

  it.effect("fails with what the peer or the disk failed with", () =>
    Effect.gen(function*() {
      const unreachable = yield* between([], [], { digests: () => Effect.fail(failedBy(b, "unreachable")) })
      assert.deepInclude(yield* Effect.flip(unreachable.run), { reason: "unreachable" })
      const setup = yield* between([], [])
      const theirs = names.map((name) => cell(name, 1)).filter(setup.isShared)
      const cut = yield* between([], theirs, { versions: () => Stream.fail(failedBy(b, "bad-answer")) })
      assert.deepInclude(yield* Effect.flip(cut.run), { reason: "bad-answer" })
    }))

  it.effect("does not ask for a version that the peer has and this node has newer by now", () =>
    Effect.gen(function*() {
      const setup = yield* between([], [])
      const [shared] = names.map((name) => cell(name, 5)).filter(setup.isShared) as [Cell]
      const { calls, run } = yield* between([shared], [{ ...shared, version: version(6) }], {
        versions: () => Stream.make({ key: shared.key, version: version(4) })
      })
      yield* run
      assert.deepStrictEqual(calls, ["write 1"])
    }))
})
