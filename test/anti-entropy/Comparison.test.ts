import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Array as Arr, Effect, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Comparison from "../../src/anti-entropy/Comparison.ts"
import * as PartitionDigest from "../../src/anti-entropy/PartitionDigest.ts"
import * as Replica from "../../src/anti-entropy/Replica.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import { compare, type Key } from "../../src/domain/Key.ts"
import type { NodeId } from "../../src/domain/NodeId.ts"
import * as Partition from "../../src/domain/Partition.ts"
import type { Digests, PeerClient } from "../../src/peer/PeerClient.ts"
import * as HashRing from "../../src/ring/HashRing.ts"
import type { Ring } from "../../src/ring/Ring.ts"
import { a, b, c, cell, cellOf, d, endingAfter, version } from "../coordinator/requests.ts"
import { plain } from "../domain/arbitraries.ts"
import { type FakeStorage, hole, mock, storage } from "../replicator/fakes.ts"

const partitions = 16

/** Two copies of each key. */
const ringOf = (nodes: ReadonlyArray<NodeId>) => {
  const members = nodes.map((nodeId) => ({ nodeId, vnodes: 100 }))
  const preferenceLists = HashRing.preferenceLists(HashRing.make(members), partitions, 2)
  const partitionOf = (key: Key) => Partition.of(key, partitions)
  return mock<Ring["Service"]>({ current: () => ({ epoch: 1, nodes, preferenceLists }), partitionOf })
}

/** `a` and `b` share some of its partitions and not others. */
const fourNodes = ringOf([a, b, c, d])

const isShared = ({ key }: Cell) => {
  const nodes = fourNodes.current().preferenceLists[fourNodes.partitionOf(key)]!
  return nodes.includes(a) && nodes.includes(b)
}

const names = Array.from({ length: 40 }, (_, index) => `key ${index}`)
const shared = names.map((name) => cell(name)).filter(isShared)

const digestsOf = (ring: Ring["Service"], { cells, holes }: FakeStorage): Digests => {
  const digests = PartitionDigest.make(partitions)
  for (const cell of cells.values()) digests.add(ring.partitionOf(cell.key), cell)
  return { digests: digests.format(), isDamaged: holes.length > 0 }
}

/** `a`, which compares, and `b`, with these cells, and the requests between them. */
const between = (
  mine: ReadonlyArray<Cell>,
  theirs: ReadonlyArray<Cell>,
  changes?: Partial<PeerClient["Service"]>,
  ring = fourNodes
) => {
  const here = storage(mine)
  const there = storage(theirs)
  const calls: Array<string> = []
  const progress = { differing: 0, received: 0, sent: 0 }
  const client = mock<PeerClient["Service"]>({
    digests: () => Effect.sync(() => digestsOf(ring, there)),
    versions: (_address, wanted) => {
      calls.push(`versions of ${wanted.length}`)
      return Stream.orDie(there.service.scan({ damage: "skip" })).pipe(
        Stream.filter(({ key }) => wanted.includes(ring.partitionOf(key)))
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
    replica: Replica.make(client, ring, b, "b:1"),
    storage: here.service,
    ring,
    digests: Effect.sync(() => digestsOf(ring, here)),
    receive: (cells) => here.service.apply(cells),
    onProgress: (change) => Object.assign(progress, change)
  })
  return { here, there, calls, progress, run }
}

describe("Comparison", () => {
  it.effect("asks for nothing but digests when both sides agree", () =>
    Effect.gen(function*() {
      const cells = names.map((name) => cell(name, 1))
      const { calls, progress, run } = between(cells, cells)
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
      const { here, progress, run, there } = between(mine, theirs)
      yield* run
      for (const { mine, name, theirs } of rows) {
        const newest = cell(name, Math.max(mine, theirs, 1))
        const [expectedHere, expectedThere] = isShared(newest)
          ? [Math.max(mine, theirs), Math.max(mine, theirs)]
          : [mine, theirs]
        assert.strictEqual(here.cells.get(newest.key)?.version.counter ?? 0, expectedHere, name)
        assert.strictEqual(there.cells.get(newest.key)?.version.counter ?? 0, expectedThere, name)
      }
      const both = rows.filter(({ name }) => isShared(cell(name, 1)))
      assert.strictEqual(progress.sent, both.filter(({ mine, theirs }) => mine > theirs).length)
      assert.strictEqual(progress.received, both.filter(({ mine, theirs }) => theirs > mine).length)
    }))

  it.effect("carries tombstones like values", () =>
    Effect.gen(function*() {
      const [older] = shared as [Cell]
      const { run, there } = between([{ ...older, version: version(2), value: undefined }], [older])
      yield* run
      assert.deepStrictEqual(
        plain(there.cells.get(older.key)),
        plain({ key: older.key, version: version(2), value: undefined })
      )
    }))

  it.effect("exchanges all that can be read when a side has damage, and says whether the peer reported everything", () =>
    Effect.gen(function*() {
      const [first, second, third] = shared as [Cell, Cell, Cell]
      for (const isDamaged of [false, true]) {
        const { here, run, there } = between([first, second], [second, third])
        here.holes = [hole(second.key, `${second.key}!`)]
        if (isDamaged) there.holes = here.holes
        assert.strictEqual(yield* run, !isDamaged)
        assert.deepStrictEqual([here.cells.size, there.cells.size], [3, 3])
      }
    }))

  it.effect("moves nothing that both hold, though it lies in a partition that differs", () =>
    Effect.gen(function*() {
      const many = Array.from({ length: 1000 }, (_, index) => cell(`many ${index}`, 1)).filter(isShared)
      const missing = many[0]!
      const receiving = between(many.slice(1), many)
      yield* receiving.run
      assert.deepStrictEqual(receiving.calls, ["versions of 1", "cells of 1"])
      assert.deepStrictEqual(plain(receiving.here.cells.get(missing.key)), plain(missing))
      const sending = between(many, many.slice(1))
      yield* sending.run
      assert.deepStrictEqual(sending.calls, ["versions of 1", "write 1"])
    }))

  it.effect("moves cells in batches that a request can hold", () =>
    Effect.gen(function*() {
      const many = Array.from({ length: 6000 }, (_, index) => cell(`many ${index}`)).filter(isShared).slice(0, 600)
      const sending = between(many, [])
      yield* sending.run
      assert.deepStrictEqual(sending.calls.slice(1), ["write 512", "write 88"])
      assert.strictEqual(sending.progress.sent, 600)
      const receiving = between([], many)
      yield* receiving.run
      assert.deepStrictEqual(receiving.calls.slice(1), ["cells of 600"])
      assert.strictEqual(receiving.progress.received, 600)
    }))

  it.effect("fails when the peer stalls, at the timeout and not before, wherever it is", () =>
    Effect.gen(function*() {
      const [mine, theirs] = shared as [Cell, Cell]
      const stalls: ReadonlyArray<Partial<PeerClient["Service"]>> = [
        { digests: () => Effect.never },
        { versions: () => Stream.never },
        { write: () => Effect.never },
        { cells: () => Stream.never }
      ]
      for (const stall of stalls) {
        const { run } = between([mine], [theirs], stall)
        const failure = yield* endingAfter(30_000, Effect.flip(run))
        assert.deepInclude(failure, { _tag: "PeerFailed", peer: b, reason: "timeout" })
      }
    }))

  it.effect("does not count the time that it takes itself as the peer's silence", () =>
    Effect.gen(function*() {
      const cells = names.map((name) => cell(name, 1)).toSorted((x, y) => compare(x.key, y.key))
      let taken = 0
      const versions = () => Stream.fromIterable(cells.slice(4, 8)).pipe(Stream.rechunk(1))
      const { here, run } = between(cells.slice(0, 4), cells.slice(4, 8), { versions }, ringOf([a, b]))
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
        const { here, run } = between([], [first, second], answer)
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
      const { calls, here, progress, run } = between([], [], {
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
      }, ringOf([a, b]))
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

  it.effect("does not ask for a version that the peer has and this node has newer by now", () =>
    Effect.gen(function*() {
      const [older] = shared as [Cell]
      const mine = { ...older, version: version(5) }
      const { calls, run } = between([mine], [{ ...mine, version: version(6) }], {
        versions: () => Stream.make({ key: mine.key, version: version(4) })
      })
      yield* run
      assert.deepStrictEqual(calls, ["write 1"])
    }))
})
