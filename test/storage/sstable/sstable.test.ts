import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DiskMemory from "../../../src/disk/DiskMemory.ts"
import * as Bytes from "../../../src/domain/bytes.ts"
import * as CellLine from "../../../src/domain/cell/CellLine.ts"
import * as cellLines from "../../../src/domain/cell/cellLines.ts"
import { compare } from "../../../src/domain/Key.ts"
import * as lookUp from "../../../src/storage/lookUp.ts"
import * as BlockCache from "../../../src/storage/sstable/BlockCache.ts"
import * as Bloom from "../../../src/storage/sstable/Bloom.ts"
import * as Table from "../../../src/storage/sstable/Table.ts"
import * as TableIndex from "../../../src/storage/sstable/TableIndex.ts"
import * as TableWriter from "../../../src/storage/sstable/TableWriter.ts"
import { assertCell, cell, directory, key, keysOf, Letters, plain, tombstone } from "../store.ts"

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

const awkward = [
  "a",
  "q\"uote",
  "back\\slash",
  "ends with \\",
  "line\nfeed",
  "\u0001",
  "ü",
  "\u{1F600}",
  "\",\"version\":\"",
  "{\"key\":\"a\""
]

describe("lines of cells", () => {
  it("are found by key among others, whatever the key and the values contain", () => {
    const cells = awkward.flatMap((name, index) => [
      cell(name, index + 1, `a value that quotes {"key":"a","version":"1-x-000000000000"} and ${name}`)
    ])
    const sorted = cells.toSorted((left, right) => compare(left.key, right.key))
    const block = Buffer.from(sorted.map((one) => `${CellLine.encode(one)}\n`).join(""))
    for (const one of cells) {
      const line = cellLines.find(block, one.key)
      assert.isDefined(line)
      assertCell(cellLines.cellUnsafe(line!), one)
      assert.deepStrictEqual(cellLines.versionUnsafe(line!), one.version)
      assert.strictEqual(cellLines.keyOf(line!), one.key)
    }
    for (const absent of ["", "q", "A", "version", "aa"]) {
      assert.isUndefined(cellLines.find(block, absent))
    }
  })

  it.prop("are walked one after the other", { letters: Letters }, ({ letters }) => {
    const keys = keysOf(letters)
    const block = Buffer.from(keys.map((one, index) => `${CellLine.encode(cell(one, index + 1))}\n`).join(""))
    const seen: Array<string> = []
    for (let start = 0; start < block.length;) {
      const line = cellLines.at(block, start)
      seen.push(cellLines.keyOf(line))
      start = line.end + 1
    }
    assert.deepStrictEqual(seen, Array.from<string>(keys))
  })

  it.prop("are found among others in key order, and what is not there is not", { letters: Letters }, ({ letters }) => {
    const keys = keysOf(letters).toSorted(compare)
    const present = keys.filter((_, index) => index % 2 === 0)
    const block = Buffer.from(present.map((one, index) => `${CellLine.encode(cell(one, index + 1))}\n`).join(""))
    for (const [index, one] of keys.entries()) {
      const line = cellLines.find(block, one)
      assert.strictEqual(
        line === undefined ? undefined : cellLines.versionUnsafe(line).counter,
        index % 2 === 0 ? index / 2 + 1 : undefined
      )
      if (line !== undefined) assertCell(cellLines.cellUnsafe(line), cell(one, index / 2 + 1))
    }
  })

  it("give values that are no text, empty ones and any content type", () => {
    for (
      const value of [
        { bytes: Buffer.from([0xff, 0, 0x22]), contentType: "image/png" },
        { bytes: Buffer.alloc(0), contentType: "" },
        { bytes: Buffer.from("\"quoted\" \\ \n ü"), contentType: "text/\"odd\"" }
      ]
    ) {
      const one = { ...cell("a", 1), value }
      const line = cellLines.find(Buffer.from(`${CellLine.encode(one)}\n`), "a")
      assertCell(cellLines.cellUnsafe(line!), one)
    }
  })

  it("say whether they are tombstones without being decoded", () => {
    for (const [one, expected] of [[cell("a", 1, "deleted"), false], [tombstone("a", 1), true]] as const) {
      const line = cellLines.at(Buffer.from(CellLine.encode(one)), 0)
      assert.strictEqual(cellLines.isTombstone(line), expected)
    }
  })

  it("say their counter, small or the highest, without being decoded", () => {
    for (const counter of [1, 42, Number.MAX_SAFE_INTEGER]) {
      const block = Buffer.from(`${CellLine.encode(cell("a", counter, "v", "node-1"))}\n`)
      assert.strictEqual(cellLines.counterOf(cellLines.at(block, 0)), counter)
    }
  })

  it("that are no cells are a defect", () => {
    const line = cellLines.at(Buffer.from(`{"key":"a","version":"none","deleted":true}\n`), 0)
    assert.throws(() => cellLines.versionUnsafe(line), /no cell/)
    assert.throws(() => cellLines.cellUnsafe(line), /no cell/)
  })
})

describe("block cache", () => {
  it("stays within its bound, and keeps what was used over what was not", () => {
    const cache = BlockCache.make(300)
    const slots: BlockCache.BlockSlots = []
    const block = Buffer.alloc(100)
    for (let index = 0; index < 3; index++) cache.put(slots, index, block)
    assert.isDefined(cache.get(slots, 0))
    cache.put(slots, 3, block)
    assert.strictEqual(cache.sizeBytes(), 300)
    assert.deepStrictEqual([0, 1, 2, 3].map((index) => cache.get(slots, index) !== undefined), [
      true,
      false,
      true,
      true
    ])
  })

  it("evicts after some second chances, instead of looking through everything at once", () => {
    const cache = BlockCache.make(10_000)
    const slots: BlockCache.BlockSlots = []
    for (let index = 0; index < 100; index++) cache.put(slots, index, Buffer.alloc(100))
    for (let index = 0; index < 100; index++) cache.get(slots, index)
    cache.put(slots, 100, Buffer.alloc(100))
    assert.strictEqual(cache.sizeBytes(), 10_000)
    assert.strictEqual(slots.slice(0, 100).filter((slot) => slot?.used === 2).length, 16)
    assert.strictEqual(slots.filter((slot) => slot === undefined).length, 1)
  })

  it("counts a block that two reads brought once", () => {
    const cache = BlockCache.make(300)
    const slots: BlockCache.BlockSlots = []
    cache.put(slots, 0, Buffer.alloc(100))
    cache.put(slots, 0, Buffer.alloc(100))
    assert.strictEqual(cache.sizeBytes(), 100)
  })

  it("goes on over many thousands of blocks", () => {
    const cache = BlockCache.make(1000)
    const slots: BlockCache.BlockSlots = []
    for (let index = 0; index < 5000; index++) cache.put(slots, index, Buffer.alloc(100))
    assert.strictEqual(cache.sizeBytes(), 1000)
    assert.strictEqual(slots.filter((slot) => slot !== undefined).length, 10)
  })

  it("lets a block go after a minute without use, and not before half a minute", () => {
    const cache = BlockCache.make(1_000_000)
    const slots: BlockCache.BlockSlots = []
    for (let index = 0; index < 300; index++) cache.put(slots, index, Buffer.alloc(100))
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

  it("lets all blocks of a table go, and keeps those of others", () => {
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

  it("holds at most a third more than its blocks take, whichever of them stay, and one slab", () => {
    const cache = BlockCache.make(100_000_000)
    const stays: BlockCache.BlockSlots = []
    for (let index = 0; index < 1000; index++) {
      const slots: BlockCache.BlockSlots = []
      for (let block = 0; block < 20; block++) cache.put(slots, block, Buffer.alloc(2000))
      cache.put(stays, index, Buffer.alloc(index % 100 === 0 ? 30_000 : 1000, index))
      cache.drop(slots)
      assert.isAtMost(cache.heldBytes(), 4 / 3 * cache.sizeBytes() + 128 * 1024)
    }
    assert.isTrue(stays.every((slot, index) => slot!.bytes.every((byte) => byte === index % 256)))
    cache.drop(stays)
    assert.isAtMost(cache.heldBytes(), 128 * 1024)
  })
})

const writeTable = Effect.fnUntraced(
  function*(memory: DiskMemory.DiskMemory, id: number, cells: ReadonlyArray<ReturnType<typeof cell>>) {
    const writer = yield* TableWriter.open(memory.disk, directory, id, TableWriter.defaults)
    for (const one of cells) {
      writer.add(one)
      if (writer.isFull()) yield* writer.drain
    }
    yield* writer.finish
    return yield* Table.open(contextOf(memory), id)
  }
)

const contextOf = ({ disk }: DiskMemory.DiskMemory): Table.Context => ({
  disk,
  directory,
  cache: BlockCache.make(1_000_000),
  onDamage: () => undefined
})

/** Each table as a run of its own. */
const asRuns = (...tables: ReadonlyArray<Table.Table>): lookUp.Tables => ({
  runs: tables.map((table) => [table]),
  holes: [],
  counterMax: Number.MAX_SAFE_INTEGER
})

const numbered = (count: number, value = "") =>
  Array.from({ length: count }, (_, index) => cell(`k${String(index).padStart(5, "0")}`, index + 1, `${index}${value}`))

describe("table", () => {
  it.effect("says in its index what it holds", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const table = yield* writeTable(memory, 7, [cell("a", 9), tombstone("b", 4), cell("c", 5)])
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
      assert.deepStrictEqual(lines.slice(3).map((line) => Object.keys(line)), [["crc32s"], ["probes", "bloom"], [
        "crc32"
      ]])
    }))

  it.effect("cuts lines into blocks of about 4 KiB that cover the file up to its footer without a gap", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const { index } = yield* writeTable(memory, 1, numbered(5000, "x".repeat(150)))
      const { offsets, properties } = index
      assert.strictEqual(offsets[0], 0)
      for (let block = 0; block < TableIndex.blockCount(index); block++) {
        assert.isBelow(TableIndex.lengthOf(index, block), 5 * 1024)
      }
      const footerBytes = memory.files().get("data/000001.sst")!.subarray(offsets.at(-1))
      assert.isTrue(footerBytes.toString().startsWith("{\"format\""))
      assert.strictEqual(offsets.at(-1)! + footerBytes.length, properties.sizeBytes)
      assert.isAbove(TableIndex.blockCount(index), 250)
    }))

  it.effect("finds every cell it holds, from the disk and then from the cache", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const cells = numbered(1000, "x".repeat(100))
      const table = yield* writeTable(memory, 1, cells)
      assert.strictEqual(lookUp.findNow(asRuns(table), "k00500"), lookUp.mustRead)
      for (const one of cells) {
        const line = yield* lookUp.find(() => asRuns(table), one.key)
        assert.deepStrictEqual(plain(cellLines.cellUnsafe(line!)), plain(one))
      }
      for (let round = 0; round < 6; round++) {
        const found = lookUp.findNow(asRuns(table), "k00999")
        assert.isTrue(found !== undefined && found !== lookUp.mustRead, `round ${round}`)
        assertCell(cellLines.cellUnsafe(found as cellLines.Line), cells[999])
        assert.isUndefined(lookUp.findNow(asRuns(table), "k00998x"))
      }
      for (const absent of ["a", "k", "k00500x", "z"]) {
        assert.isUndefined(yield* lookUp.find(() => asRuns(table), absent))
      }
    }))

  it.effect("holds values larger than a block and larger than the writer's buffer", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const cells = [cell("a", 1), cell("b", 2, "y".repeat(1_200_000)), cell("c", 3)]
      const table = yield* writeTable(memory, 1, cells)
      for (const one of cells) {
        assert.deepStrictEqual(
          plain(cellLines.cellUnsafe((yield* lookUp.find(() => asRuns(table), one.key))!)),
          plain(one)
        )
      }
    }))

  it.effect("among several, the newest version wins whatever the order of the tables", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const tables = [
        yield* writeTable(memory, 1, [cell("a", 3), cell("b", 1)]),
        yield* writeTable(memory, 2, [cell("a", 7)]),
        yield* writeTable(memory, 3, [cell("a", 5)])
      ]
      for (const order of [tables, Array.from(tables).reverse()]) {
        const line = yield* lookUp.find(() => asRuns(...order), "a")
        assert.strictEqual(cellLines.versionUnsafe(line!).counter, 7)
      }
      const cached = lookUp.findNow(asRuns(...tables), "a")
      assert.isTrue(cached !== undefined && cached !== lookUp.mustRead && cellLines.versionUnsafe(cached).counter === 7)
    }))

  it.effect("that a compaction replaced between a look-up's making and its run is not read", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const old = yield* writeTable(memory, 1, [cell("a", 1)])
      const merged = yield* writeTable(memory, 2, [cell("a", 1)])
      let tables = [old]
      const find = lookUp.find(() => asRuns(...tables), "a")
      tables = [merged]
      yield* old.close
      assertCell(cellLines.cellUnsafe((yield* find)!), cell("a", 1))
    }))

  it.effect("is let go only when nobody holds it", () =>
    Effect.gen(function*() {
      const table = yield* writeTable(DiskMemory.make(1), 1, [cell("a", 1)])
      let freed = 0
      table.retain()
      table.retain()
      table.retire(() => freed++)
      table.release()
      assert.strictEqual(freed, 0)
      table.release()
      assert.strictEqual(freed, 1)
    }))
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
