import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DiskMemory from "../../../src/disk/DiskMemory.ts"
import * as Bytes from "../../../src/domain/bytes.ts"
import type { Cell } from "../../../src/domain/cell/Cell.ts"
import * as CellLine from "../../../src/domain/cell/CellLine.ts"
import * as cellLines from "../../../src/domain/cell/cellLines.ts"
import { compare } from "../../../src/domain/Key.ts"
import * as lookUp from "../../../src/storage/lookUp.ts"
import * as BlockCache from "../../../src/storage/sstable/BlockCache.ts"
import * as Bloom from "../../../src/storage/sstable/Bloom.ts"
import type * as Table from "../../../src/storage/sstable/Table.ts"
import * as TableIndex from "../../../src/storage/sstable/TableIndex.ts"
import { inVirtualTime } from "../../inVirtualTime.ts"
import { assertCell, cell, key, keysOf, Letters, numbered, tombstone } from "../store.ts"
import { linesOf, write } from "./tables.ts"

describe("Bloom filter", () => {
  it.prop("admits every key that was added", { letters: Letters }, ({ letters }) => {
    const keys = keysOf(letters)
    const bloom = Bloom.make(keys.length)
    for (const one of keys) Bloom.add(bloom, Bloom.hash(one))
    for (const one of keys) assert.isTrue(Bloom.admits(bloom, Bloom.hash(one)))
  })

  for (
    const [kind, name] of [
      ["counted names", (index: number) => `user/${index}`],
      ["names with a common end", (index: number) => `${index}/profile/settings`],
      ["padded numbers", (index: number) => String(index).padStart(16, "0")]
    ] as const
  ) {
    it(`admits fewer than 1.5 of 100 absent keys: ${kind}`, () => {
      const bloom = Bloom.make(20_000)
      for (let index = 0; index < 20_000; index++) Bloom.add(bloom, Bloom.hash(name(index)))
      let admitted = 0
      for (let index = 20_000; index < 60_000; index++) if (Bloom.admits(bloom, Bloom.hash(name(index)))) admitted++
      assert.isBelow(admitted / 40_000, 0.015)
    })
  }
})

const blockOf = (cells: ReadonlyArray<Cell>) => Buffer.from(cells.map((one) => `${CellLine.encode(one)}\n`).join(""))

describe("lines of cells", () => {
  it.prop("are walked one after the other", { letters: Letters }, ({ letters }) => {
    const keys = keysOf(letters)
    const block = blockOf(keys.map((one, index) => cell(one, index + 1)))
    assert.deepStrictEqual(Array.from(linesOf(block), cellLines.keyOf), Array.from<string>(keys))
  })

  it.prop("are found by key among others, and absent keys are not found", { letters: Letters }, ({ letters }) => {
    const keys = keysOf(letters).toSorted(compare)
    const present = keys.filter((_, index) => index % 2 === 0)
    const cells = present.map((one, index) =>
      cell(one, index + 1, `a value that quotes {"key":"k","version":"1-x-000000000000"} and ${one}`)
    )
    const block = blockOf(cells)
    for (const [index, one] of keys.entries()) {
      const line = cellLines.find(block, one)
      const expected = index % 2 === 0 ? cells[index / 2] : undefined
      assertCell(line === undefined ? undefined : cellLines.cellUnsafe(line), expected)
      if (line !== undefined) assert.deepStrictEqual(cellLines.versionUnsafe(line), expected!.version)
    }
    for (const absent of ["", "q", "A", "version"]) assert.isUndefined(cellLines.find(block, absent))
  })

  it("give binary and empty values and any content type", () => {
    for (
      const value of [
        { bytes: Buffer.from([0xff, 0, 0x22]), contentType: "image/png" },
        { bytes: Buffer.alloc(0), contentType: "" },
        { bytes: Buffer.from("\"quoted\" \\ \n ü"), contentType: "text/\"odd\"" }
      ]
    ) {
      const one = { ...cell("a", 1), value }
      const line = cellLines.find(blockOf([one]), "a")
      assertCell(cellLines.cellUnsafe(line!), one)
    }
  })

  it("tell tombstones without decoding", () => {
    for (const [one, expected] of [[cell("a", 1, "deleted"), false], [tombstone("a", 1), true]] as const) {
      const line = cellLines.at(blockOf([one]), 0)
      assert.strictEqual(cellLines.isTombstone(line), expected)
    }
  })

  it("give their counter without decoding", () => {
    for (const counter of [1, 42, Number.MAX_SAFE_INTEGER]) {
      const line = cellLines.at(blockOf([cell("a", counter, "v", "node-1")]), 0)
      assert.strictEqual(cellLines.counterOf(line), counter)
    }
  })

  it("are a defect when they are no cells", () => {
    const line = cellLines.at(Buffer.from(`{"key":"a","version":"none","deleted":true}\n`), 0)
    assert.throws(() => cellLines.versionUnsafe(line), /no cell/)
    assert.throws(() => cellLines.cellUnsafe(line), /no cell/)
  })
})

describe("block cache", () => {
  const filled = (limitBytes: number, count: number) => {
    const cache = BlockCache.make(limitBytes)
    const slots: BlockCache.BlockSlots = []
    for (let index = 0; index < count; index++) cache.put(slots, index, Buffer.alloc(100))
    return { cache, slots }
  }

  it("stays within its bound, and evicts unused blocks first", () => {
    const { cache, slots } = filled(300, 3)
    assert.isDefined(cache.get(slots, 0))
    cache.put(slots, 3, Buffer.alloc(100))
    assert.strictEqual(cache.sizeBytes(), 300)
    assert.deepStrictEqual([0, 1, 2, 3].filter((index) => cache.get(slots, index) !== undefined), [0, 2, 3])
  })

  it("gives only some blocks a second chance per eviction", () => {
    const { cache, slots } = filled(10_000, 100)
    for (let index = 0; index < 100; index++) cache.get(slots, index)
    cache.put(slots, 100, Buffer.alloc(100))
    assert.strictEqual(cache.sizeBytes(), 10_000)
    assert.strictEqual(slots.slice(0, 100).filter((slot) => slot?.used === 2).length, 16)
    assert.strictEqual(slots.filter((slot) => slot === undefined).length, 1)
  })

  it("counts a block once that two reads brought", () => {
    const { cache, slots } = filled(300, 1)
    cache.put(slots, 0, Buffer.alloc(100))
    assert.strictEqual(cache.sizeBytes(), 100)
  })

  it("stays within its bound over thousands of blocks", () => {
    const { cache, slots } = filled(1000, 5000)
    assert.strictEqual(cache.sizeBytes(), 1000)
    assert.strictEqual(slots.filter((slot) => slot !== undefined).length, 10)
  })

  it("drops a block after a minute without use, and not before half a minute", () => {
    const { cache, slots } = filled(1_000_000, 300)
    const age = (seconds: number) => {
      for (let second = 0; second < seconds; second++) {
        cache.get(slots, 7)
        cache.age()
      }
    }
    age(30)
    assert.strictEqual(cache.sizeBytes(), 30_000)
    age(35)
    assert.strictEqual(cache.sizeBytes(), 100)
    assert.isDefined(cache.get(slots, 7))
    age(1)
    assert.isDefined(cache.get(slots, 7))
  })

  it("keeps blocks in memory of its own, and gives each reader the same", () => {
    const cache = BlockCache.make(10_000)
    const slots: BlockCache.BlockSlots = []
    const read = Buffer.from("a block")
    const kept = cache.put(slots, 0, read)
    read.fill("x")
    assert.strictEqual(Bytes.utf8(kept), "a block")
    assert.strictEqual(cache.get(slots, 0), kept)
  })

  it("drops all blocks of a table, and keeps those of others", () => {
    const cache = BlockCache.make(1_000_000)
    const [gone, kept]: Array<BlockCache.BlockSlots> = [[], []]
    for (let index = 0; index < 50; index++) {
      cache.put(gone!, 2 * index, Buffer.alloc(4000, index))
      cache.put(kept!, index, Buffer.alloc(4000, index))
    }
    cache.drop(gone!)
    assert.strictEqual(cache.sizeBytes(), 200_000)
    assert.isTrue(gone!.every((slot) => slot === undefined))
    assert.isTrue(kept!.every((slot, index) => slot!.bytes.every((byte) => byte === index)))
    cache.drop(kept!)
    assert.strictEqual(cache.sizeBytes(), 0)
  })

  it("holds at most a third more than its blocks take, and one slab", () => {
    const cache = BlockCache.make(100_000_000)
    const stays: BlockCache.BlockSlots = []
    for (let index = 0; index < 1000; index++) {
      const slots: BlockCache.BlockSlots = []
      for (let block = 0; block < 20; block++) cache.put(slots, block, Buffer.alloc(2000))
      cache.put(stays, index, Buffer.alloc(index % 100 === 0 ? 30_000 : 1000, index))
      assert.isAtMost(cache.heldBytes(), 4 / 3 * cache.sizeBytes() + 128 * 1024)
      cache.drop(slots)
    }
    assert.isTrue(stays.every((slot, index) => slot!.bytes.every((byte) => byte === index % 256)))
    cache.drop(stays)
    assert.isAtMost(cache.heldBytes(), 128 * 1024)
  })

  it("moves what is left beside a dropped table a little each second, so that no request waits for all of it", () => {
    const cache = BlockCache.make(100_000_000)
    const [gone, kept]: Array<BlockCache.BlockSlots> = [[], []]
    for (let index = 0; index < 5000; index++) {
      cache.put(gone!, index, Buffer.alloc(4000))
      cache.put(kept!, index, Buffer.alloc(4000, index))
    }
    const places = () => kept!.map((slot) => slot!.bytes)
    const moved = (before: ReadonlyArray<Uint8Array>) =>
      places().filter((bytes, index) => bytes !== before[index]).length
    const before = places()
    cache.drop(gone!)
    assert.strictEqual(moved(before), 0)
    const heldBytes = cache.heldBytes()
    for (let second = 0; second < 5; second++) {
      const last = places()
      cache.age()
      assert.isAtMost(moved(last), 64 * 16)
      assert.isAtMost(cache.heldBytes(), heldBytes)
    }
    assert.isAtMost(cache.heldBytes(), 4 / 3 * cache.sizeBytes() + 128 * 1024)
    assert.isTrue(kept!.every((slot, index) => slot!.bytes.every((byte) => byte === index % 256)))
  })
})

/** Each table as a run of its own. */
const asRuns = (...tables: ReadonlyArray<Table.Table>): lookUp.Tables => ({
  runs: tables.map((table) => [table]),
  holes: [],
  counterMax: Number.MAX_SAFE_INTEGER
})

const assertFinds = Effect.fnUntraced(function*(table: Table.Table, cells: ReadonlyArray<Cell>) {
  for (const one of cells) {
    const line = yield* lookUp.find(() => asRuns(table), one.key)
    assertCell(cellLines.cellUnsafe(line!), one)
  }
})

describe("table", () => {
  inVirtualTime("describes its contents in its index", function*() {
    const memory = DiskMemory.make(1)
    const table = yield* write(memory, 7, [cell("a", 9), tombstone("b", 4), cell("c", 5)])
    const data = memory.files().get("data/000007.sst")!
    assert.deepStrictEqual(table.index.properties, {
      cells: 3,
      tombstones: 1,
      keyMin: key("a"),
      keyMax: key("c"),
      counterMax: 9,
      sizeBytes: data.length
    })
    const lines = memory.files().get("data/000007.idx")!.toString().trim().split("\n").map((line) => JSON.parse(line))
    assert.deepInclude(lines[0], { format: "rondo-sstable-2", cells: 3, blocks: 1 })
    assert.deepStrictEqual(lines[1], { firstKeys: ["a"] })
    const footer = data.toString().trim().split("\n").at(-1)!
    assert.deepStrictEqual(JSON.parse(footer), { format: "rondo-sstable-2", cells: 3, tombstones: 1 })
    assert.deepStrictEqual(lines[2], { lengthsBytes: [data.length - footer.length - 1] })
    const rest = lines.slice(3).map((line) => Object.keys(line))
    assert.deepStrictEqual(rest, [["crc32s"], ["probes", "bloom"], ["crc32"]])
  })

  inVirtualTime("cuts lines into blocks of about 4 KiB that cover the file up to its footer", function*() {
    const memory = DiskMemory.make(1)
    const { index } = yield* write(memory, 1, numbered(5000, 150))
    const { offsets, properties } = index
    assert.strictEqual(offsets[0], 0)
    for (let block = 0; block < TableIndex.blockCount(index); block++) {
      assert.isBelow(offsets[block + 1]! - offsets[block]!, 5 * 1024)
    }
    const footerBytes = memory.files().get("data/000001.sst")!.subarray(offsets.at(-1))
    assert.isTrue(footerBytes.toString().startsWith("{\"format\""))
    assert.strictEqual(offsets.at(-1)! + footerBytes.length, properties.sizeBytes)
    assert.isAbove(TableIndex.blockCount(index), 250)
  })

  inVirtualTime("finds every cell it holds, from the disk and then from the cache", function*() {
    const memory = DiskMemory.make(1)
    const cells = numbered(1000, 100)
    const table = yield* write(memory, 1, cells)
    assert.strictEqual(lookUp.findNow(asRuns(table), "k0500"), lookUp.mustRead)
    yield* assertFinds(table, cells)
    for (let round = 0; round < 6; round++) {
      const found = lookUp.findNow(asRuns(table), "k0999")
      assert.isTrue(found !== undefined && found !== lookUp.mustRead, `round ${round}`)
      assertCell(cellLines.cellUnsafe(found as cellLines.Line), cells[999])
      assert.isUndefined(lookUp.findNow(asRuns(table), "k0998x"))
    }
    for (const absent of ["a", "k", "k0500x", "z"]) {
      assert.isUndefined(yield* lookUp.find(() => asRuns(table), absent))
    }
  })

  inVirtualTime("holds values larger than a block and larger than the writer's buffer", function*() {
    const memory = DiskMemory.make(1)
    const cells = [cell("a", 1), cell("b", 2, "y".repeat(1_200_000)), cell("c", 3)]
    yield* assertFinds(yield* write(memory, 1, cells), cells)
  })

  inVirtualTime("gives the newest version of several tables in any order", function*() {
    const memory = DiskMemory.make(1)
    const tables = [
      yield* write(memory, 1, [cell("a", 3), cell("b", 1)]),
      yield* write(memory, 2, [cell("a", 7)]),
      yield* write(memory, 3, [cell("a", 5)])
    ]
    for (const order of [tables, Array.from(tables).reverse()]) {
      const line = yield* lookUp.find(() => asRuns(...order), "a")
      assert.strictEqual(cellLines.versionUnsafe(line!).counter, 7)
    }
    const cached = lookUp.findNow(asRuns(...tables), "a")
    assert.isTrue(cached !== undefined && cached !== lookUp.mustRead && cellLines.versionUnsafe(cached).counter === 7)
  })

  inVirtualTime("is not read when a compaction replaced it before the look-up runs", function*() {
    const memory = DiskMemory.make(1)
    const old = yield* write(memory, 1, [cell("a", 1)])
    const merged = yield* write(memory, 2, [cell("a", 1)])
    let tables = [old]
    const find = lookUp.find(() => asRuns(...tables), "a")
    tables = [merged]
    yield* old.close
    assertCell(cellLines.cellUnsafe((yield* find)!), cell("a", 1))
  })

  inVirtualTime("is freed only when nobody holds it", function*() {
    const table = yield* write(DiskMemory.make(1), 1, [cell("a", 1)])
    let freed = 0
    table.retain()
    table.retain()
    table.retire(() => freed++)
    table.release()
    assert.strictEqual(freed, 0)
    table.release()
    assert.strictEqual(freed, 1)
  })
})

describe("table index", () => {
  const encoded = TableIndex.encode({
    properties: { cells: 2, tombstones: 0, keyMin: key("b"), keyMax: key("x"), counterMax: 3, sizeBytes: 20 },
    firstKeys: ["b", "m"],
    offsets: Float64Array.of(0, 10, 20),
    checksums: Uint32Array.of(1, 0xffffffff),
    bloom: Bloom.make(2)
  })

  it("decoding undoes encoding", () => {
    const decoded = TableIndex.decode(encoded)
    assert.deepStrictEqual(typeof decoded !== "string" && TableIndex.encode(decoded), encoded)
  })

  it("damaged at any byte is refused", () => {
    for (let offset = 0; offset < encoded.length; offset++) {
      const damaged = Buffer.from(encoded)
      damaged[offset] = damaged[offset]! ^ 1
      assert.isString(TableIndex.decode(damaged), `byte ${offset}`)
    }
    assert.isString(TableIndex.decode(Buffer.alloc(0)))
  })

  it("finds the block that may hold a key", () => {
    const index = TableIndex.decode(encoded) as TableIndex.TableIndex
    const blocks = ["a", "b", "c", "lz", "m", "z"].map((name) => TableIndex.blockOf(index, name))
    assert.deepStrictEqual(blocks, [-1, 0, 0, 0, 1, 1])
  })

  it.prop("agrees with a search through all first keys", { letters: Letters }, ({ letters }) => {
    const [wanted = key("k"), ...others] = keysOf(letters)
    const sorted = others.sort(compare)
    const index = { ...(TableIndex.decode(encoded) as TableIndex.TableIndex), firstKeys: sorted }
    assert.strictEqual(TableIndex.blockOf(index, wanted), sorted.findLastIndex((first) => compare(first, wanted) <= 0))
  })
})
