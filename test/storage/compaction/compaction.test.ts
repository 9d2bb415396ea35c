import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Cell from "../../../src/domain/Cell.ts"
import { compare, Key } from "../../../src/domain/Key.ts"
import * as merge from "../../../src/storage/compaction/merge.ts"
import { mergeTables } from "../../../src/storage/compaction/mergeTables.ts"
import { pick, tablesMax } from "../../../src/storage/compaction/pick.ts"
import type { Disk } from "../../../src/storage/Disk.ts"
import * as DiskMemory from "../../../src/storage/DiskMemory.ts"
import { sortCells } from "../../../src/storage/memtable/sortCells.ts"
import * as BlockCache from "../../../src/storage/sstable/BlockCache.ts"
import * as Table from "../../../src/storage/sstable/Table.ts"
import * as TableWriter from "../../../src/storage/sstable/TableWriter.ts"
import { cell, keysOf, Letters, plain } from "../store.ts"

const sized = (...sizes: ReadonlyArray<number>) => sizes.map((sizeBytes, id) => ({ id, sizeBytes }))
const sizesOf = (tables: ReadonlyArray<{ readonly sizeBytes: number }>) => tables.map(({ sizeBytes }) => sizeBytes)

describe("which tables to merge", () => {
  it("are four of similar size, and nothing before there are four", () => {
    assert.deepStrictEqual(sizesOf(pick(sized(100, 110, 95), 10)), [])
    assert.deepStrictEqual(sizesOf(pick(sized(100, 1000, 110, 95, 105), 10)), [95, 100, 105, 110])
  })

  it("are not tables of different size", () => {
    assert.deepStrictEqual(sizesOf(pick(sized(10, 100, 1000, 10_000), 10)), [])
  })

  it("count small ones as equal", () => {
    assert.deepStrictEqual(sizesOf(pick(sized(1, 5, 30, 99), 100)), [1, 5, 30, 99])
  })

  it("are the smallest when sizes never match", () => {
    const sizes = Array.from({ length: tablesMax + 1 }, (_, index) => 2 ** index)
    assert.deepStrictEqual(sizesOf(pick(sized(...sizes), 0)), [1, 2, 4, 8])
  })

  it("keep a growing store at few tables, each cell rewritten few times", () => {
    let tables: Array<{ sizeBytes: number }> = []
    let written = 0
    for (let flush = 0; flush < 1000; flush++) {
      tables.push({ sizeBytes: 10 })
      for (let chosen = pick(tables, 4); chosen.length > 0; chosen = pick(tables, 4)) {
        const sizeBytes = chosen.reduce((sum, table) => sum + table.sizeBytes, 0)
        tables = [...tables.filter((table) => !chosen.includes(table)), { sizeBytes }]
        written += sizeBytes
      }
      assert.isAtMost(tables.length, 16)
    }
    assert.isBelow(written / 10_000, 6)
  })
})

describe("merging sources", () => {
  it.prop("gives the newest cell of each key in key order", { parts: Letters }, ({ parts }) => {
    const names = keysOf(parts)
    const sources = [0, 1, 2].map((source) =>
      names
        .filter((_, index) => (index + source) % 3 !== 0)
        .map((name, index) => cell(name, 1 + ((index * 7 + source * 5) % 4), `from ${source}`))
        .sort((left, right) => compare(left.key, right.key))
    )
    const expected = new Map<string, Cell.Cell>()
    for (const one of sources.flat()) {
      const before = expected.get(one.key)
      expected.set(one.key, before === undefined ? one : Cell.merge(before, one))
    }
    const walked: Array<Cell.Cell> = []
    const open = sources.map(merge.ofCells)
    for (let winner = merge.next(open); winner !== undefined; winner = merge.next(open)) {
      walked.push(winner.cell())
      winner.advance()
    }
    const sorted = Array.from(expected.values()).sort((left, right) => compare(left.key, right.key))
    assert.deepStrictEqual(walked.map(plain), sorted.map(plain))
  })
})

describe("sorting a memtable", () => {
  it.effect("in slices gives the order of the bytes, at sizes around those of a slice", () =>
    Effect.gen(function*() {
      for (const count of [0, 1, 2047, 2048, 2049, 4097, 10_000]) {
        const cells = Array.from({ length: count }, (_, index) =>
          cell(`${String((index * 7919) % 10_007)}${index % 2 === 0 ? "\u{1F600}" : "\uFFEE"}`, 1))
        const sorted = yield* sortCells(cells)
        const expected = cells.map((one) =>
          Buffer.from(one.key)
        ).sort(Buffer.compare).map(String)
        assert.deepStrictEqual(sorted.map((one) => one.key as string), expected)
      }
    }))

  it.effect("gives that order whether no key has surrogates, or one of the last run", () =>
    Effect.gen(function*() {
      for (const last of ["\uFFEE", "\u{1F600}", "\uFFEE\u{1F600}"]) {
        const names = Array.from({ length: 9000 }, (_, index) => `${(index * 7919) % 10_007}\uFFEE`)
        const sorted = yield* sortCells([...names, last].map((name) => cell(name, 1)))
        const expected = [...names, last].map((name) => Buffer.from(name)).sort(Buffer.compare).map(String)
        assert.deepStrictEqual(sorted.map((one) => one.key as string), expected)
      }
    }))

  it.effect("lets others have a turn after some ten thousand comparisons, in the early passes too", () =>
    Effect.gen(function*() {
      const counted = { reads: 0 }
      const cells = Array.from(
        { length: 30_000 },
        (_, index) => counting(cell(String((index * 7919) % 30_011), 1), counted)
      )
      const sorting = yield* Effect.forkChild(sortCells(cells))
      let readsMax = 0
      while (sorting.pollUnsafe() === undefined) {
        counted.reads = 0
        yield* Effect.yieldNow
        readsMax = Math.max(readsMax, counted.reads)
      }
      // Sorting a run compares each cell with some eleven others, and a comparison reads two keys, or four.
      assert.isAbove(readsMax, 0)
      assert.isBelow(readsMax, 75_000)
    }))
})

/** The same cell, counting how often its key is looked at. */
const counting = (one: Cell.Cell, counted: { reads: number }): Cell.Cell => ({
  ...one,
  get key() {
    counted.reads++
    return one.key
  }
})

describe("merging tables", () => {
  it.effect("writes large values out as they come, instead of gathering a slice of them", () =>
    Effect.gen(function*() {
      const { disk } = DiskMemory.make(1)
      let largest = 0
      const watched: Disk["Service"] = {
        ...disk,
        openAppend: (path, options) =>
          Effect.map(disk.openAppend(path, options), (handle) => ({
            ...handle,
            append: (bytes) => {
              largest = Math.max(largest, bytes.length)
              return handle.append(bytes)
            }
          }))
      }
      const cache = BlockCache.make(1024 * 1024)
      const tables: Array<Table.Table> = []
      for (const id of [1, 2]) {
        const writer = yield* TableWriter.open(disk, "data", id, 40)
        for (let index = 0; index < 40; index++) {
          if (writer.isFull()) yield* writer.drain
          const key = Key.make(`k${id}-${String(index).padStart(4, "0")}`)
          writer.add({
            ...cell(key, index + 1),
            value: { bytes: Buffer.alloc(200_000, "x"), contentType: "text/plain" }
          })
        }
        yield* writer.finish
        tables.push(yield* Table.open(disk, cache, "data", id))
      }
      yield* mergeTables(watched, "data", 3, tables)
      assert.isAtMost(largest, 1024 * 1024)
      assert.strictEqual((yield* Table.open(disk, cache, "data", 3)).index.properties.cells, 80)
    }))
})
