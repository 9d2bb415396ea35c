import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import * as DiskMemory from "../../../src/disk/DiskMemory.ts"
import * as Cell from "../../../src/domain/cell/Cell.ts"
import { compare } from "../../../src/domain/Key.ts"
import { mergeTables } from "../../../src/storage/compaction/mergeTables.ts"
import * as pick from "../../../src/storage/compaction/pick.ts"
import * as Levels from "../../../src/storage/Levels.ts"
import * as SortedRuns from "../../../src/storage/memtable/SortedRuns.ts"
import * as Table from "../../../src/storage/sstable/Table.ts"
import * as TableWriter from "../../../src/storage/sstable/TableWriter.ts"
import { inVirtualTime } from "../../inVirtualTime.ts"
import { cellsOf, contextOf, write } from "../sstable/tables.ts"
import { cell, directory, keysOf, Letters, numbered, plain, tombstone, withHandles } from "../store.ts"

interface Sized extends Levels.Sized {
  readonly name: string
}

const table = (name: string, keyMin: string, keyMax: string, sizeBytes: number): Sized => ({
  name,
  keyMin,
  keyMax,
  sizeBytes
})

const levelsOf = (levels: Readonly<Record<number, ReadonlyArray<Sized>>>): pick.Levels<Sized> =>
  Array.from({ length: Levels.levelCount }, (_, level) => levels[level] ?? [])

const named = (chosen: pick.Compaction<Sized> | undefined) =>
  chosen === undefined ? undefined : {
    upper: chosen.upper.map(({ name }) => name),
    lower: chosen.lower.map(({ name }) => name),
    target: chosen.target,
    isMove: chosen.isMove
  }

const settings: pick.Settings = { levelBytes: 100, level0Tables: 3 }

describe("which tables to merge", () => {
  it("are all of level 0 with what they overlap, and nothing before there are enough", () => {
    const last = [table("x", "a", "f", 40), table("y", "g", "m", 40), table("z", "n", "z", 10)]
    const flushed = ["p", "q", "r"].map((name) => table(name, "b", "h", 5))
    assert.isUndefined(pick.pick(levelsOf({ 0: flushed.slice(1), 6: last }), settings))
    assert.deepStrictEqual(named(pick.pick(levelsOf({ 0: flushed, 6: last }), settings)), {
      upper: ["p", "q", "r"],
      lower: ["x", "y"],
      target: 6,
      isMove: false
    })
  })

  it("are also those of the lower level that lie between the upper ones, or the result would overlap them", () => {
    const flushed = [table("p", "a", "b", 5), table("q", "a", "a", 5), table("r", "y", "z", 5)]
    const last = [table("x", "b", "c", 10), table("y", "m", "n", 10), table("z", "y", "y", 10)]
    assert.deepStrictEqual(named(pick.pick(levelsOf({ 0: flushed, 6: last }), settings))?.lower, ["x", "y", "z"])
  })

  it("only change their level when nothing overlaps", () => {
    const flushed = [table("p", "e", "f", 5), table("q", "a", "b", 5), table("r", "c", "d", 5)]
    assert.isTrue(pick.pick(levelsOf({ 0: flushed, 6: [table("x", "m", "z", 90)] }), settings)?.isMove)
    assert.isFalse(pick.pick(levelsOf({ 0: [...flushed, table("s", "b", "c", 1)] }), settings)?.isMove)
  })

  it("go to a level in between once the last one has outgrown the base", () => {
    const flushed = ["p", "q", "r"].map((name) => table(name, "b", "h", 5))
    assert.strictEqual(pick.pick(levelsOf({ 0: flushed, 6: [table("x", "a", "z", 101)] }), settings)?.target, 5)
    assert.strictEqual(pick.pick(levelsOf({ 0: flushed, 6: [table("x", "a", "z", 1001)] }), settings)?.target, 4)
  })

  it("leave a level that is too large with the one that overlaps least for its size", () => {
    const levels = levelsOf({
      5: [table("p", "a", "c", 60), table("q", "d", "f", 60)],
      6: [table("x", "a", "b", 300), table("y", "c", "d", 300), table("z", "e", "e", 20)]
    })
    assert.deepStrictEqual(named(pick.pick(levels, settings)), {
      upper: ["q"],
      lower: ["y", "z"],
      target: 6,
      isMove: false
    })
  })

  it("leave levels above the base, which a shrinking store has", () => {
    const levels = levelsOf({ 4: [table("p", "a", "c", 5)], 6: [table("x", "a", "b", 50)] })
    assert.deepStrictEqual(named(pick.pick(levels, settings)), { upper: ["p"], lower: [], target: 5, isMove: true })
  })
})

describe("sorted runs", () => {
  it("give the order of the bytes, at sizes around those of a run", () => {
    for (const count of [0, 1, 2047, 2048, 2049, 4097, 10_000]) {
      const names = Array.from(
        { length: count },
        (_, index) => `${(index * 7919) % 10_007}${index % 2 === 0 ? "\u{1F600}" : "\uFFEE"}`
      )
      const runs = SortedRuns.make<{ readonly key: string }>()
      for (const name of names) SortedRuns.add(runs, { key: name })
      const expected = names.toSorted(compare)
      const sealed = SortedRuns.sealed(runs)
      for (const run of sealed) assert.deepStrictEqual(run, run.toSorted((left, right) => compare(left.key, right.key)))
      assert.deepStrictEqual(sealed.flat().map(({ key }) => key).sort(compare), expected)
      assert.isAtMost(sealed.length, 14)
    }
  })

  inVirtualTime("become one, with or without surrogates, and yield to other fibers meanwhile", function*() {
    for (const last of ["\uFFEE", "\u{1F600}", "\uFFEE\u{1F600}"]) {
      const names = [...Array.from({ length: 29_000 }, (_, index) => `${(index * 7919) % 30_011}\uFFEE`), last]
      const runs = SortedRuns.make<{ readonly key: string }>()
      for (const name of names) SortedRuns.add(runs, { key: name })
      const merging = yield* Effect.forkChild(SortedRuns.inOne(runs))
      let turns = 0
      for (; merging.pollUnsafe() === undefined; turns++) yield* Effect.yieldNow
      assert.isAbove(turns, 3)
      const one = yield* Fiber.join(merging)
      assert.deepStrictEqual(one.map(({ key }) => key), names.toSorted(compare))
    }
  })
})

describe("merging tables", () => {
  inVirtualTime("writes large values at once instead of gathering them", function*() {
    let largest = 0
    const memory = withHandles(DiskMemory.make(1), (_, handle) => ({
      ...handle,
      append: (bytes) => {
        largest = Math.max(largest, bytes.length)
        return handle.append(bytes)
      }
    }))
    const tables = [
      yield* write(memory, 1, numbered(40, 200_000)),
      yield* write(memory, 2, numbered(40, 200_000, 40))
    ]
    largest = 0
    const { ids } = yield* mergeTables(tables.map((one) => [one]), { ...optionsOf(memory), tableBytes: 2 ** 30 })
    assert.isAtMost(largest, 1024 * 1024)
    assert.deepStrictEqual(ids, [10])
    assert.strictEqual((yield* Table.open(contextOf(memory), 10)).cells, 80)
  })

  it.effect.prop(
    "gives the newest cells in key order, in tables of bounded size, without tombstones if asked",
    { parts: Letters, purge: Schema.Boolean },
    ({ parts, purge }) =>
      Effect.gen(function*() {
        const memory = DiskMemory.make(1)
        const names = keysOf(parts)
        const sources = [0, 1, 2].map((source) =>
          names
            .filter((_, index) => (index + source) % 3 !== 0)
            .map((name, index) => {
              const counter = 1 + ((index * 7 + source * 5) % 4)
              return counter === 2 ? tombstone(name, counter) : cell(name, counter, `from ${source}`)
            })
            .sort((left, right) => compare(left.key, right.key))
        ).filter((cells) => cells.length > 0)
        const expected = new Map<string, Cell.Cell>()
        for (const one of sources.flat()) {
          const before = expected.get(one.key)
          expected.set(one.key, before === undefined ? one : Cell.merge(before, one))
        }
        const tables = yield* Effect.forEach(sources, (cells, index) => write(memory, index + 1, cells))
        const { holes, ids } = yield* mergeTables(tables.map((one) => [one]), {
          ...optionsOf(memory),
          tableBytes: 500,
          leavesOut: purge ? () => true : undefined
        })
        const merged = yield* Effect.forEach(ids, (id) => Table.open(contextOf(memory), id))
        const sorted = Array.from(expected.values()).sort((left, right) => compare(left.key, right.key))
        const kept = purge ? sorted.filter(({ value }) => value !== undefined) : sorted
        assert.deepStrictEqual((yield* Effect.forEach(merged, cellsOf)).flat().map(plain), kept.map(plain))
        assert.deepStrictEqual(holes, [])
        for (const { keyMax, keyMin, sizeBytes } of merged) {
          assert.isAtMost(compare(keyMin, keyMax), 0)
          assert.isBelow(sizeBytes, 1000)
        }
      })
  )

  inVirtualTime("skips unreadable blocks, and says which keys they may have held", function*() {
    const memory = DiskMemory.make(1)
    const cells = numbered(100, 1000)
    const whole = yield* write(memory, 1, cells)
    const { offsets } = whole.index
    for (const block of [1, 2, 5, offsets.length - 2]) memory.damage("data/000001.sst", offsets[block]! + 9)
    const { holes, ids } = yield* mergeTables([[whole]], { ...optionsOf(memory), tableBytes: 2 ** 30 })
    const { firstKeys } = whole.index
    assert.deepStrictEqual(holes.map(({ from, to }) => [from, to]), [
      [firstKeys[1], firstKeys[2]],
      [firstKeys[2], firstKeys[3]],
      [firstKeys[5], firstKeys[6]],
      [firstKeys.at(-1), "k0099\u0000"]
    ])
    const isLost = ({ key }: Cell.Cell) => holes.some(({ from, to }) => compare(from, key) <= 0 && compare(key, to) < 0)
    const found = yield* cellsOf(yield* Table.open(contextOf(memory), ids[0]!))
    assert.deepStrictEqual(found.map(plain), cells.filter((one) => !isLost(one)).map(plain))
  })
})

const optionsOf = ({ disk }: DiskMemory.DiskMemory) => {
  let id = 10
  return { ...TableWriter.defaults, disk, directory, nextId: () => id++ }
}
