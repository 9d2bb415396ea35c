/** What the store makes of a sector that cannot be read for good, and of a disk that cannot read at all. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import { assertCell, cell, collect, directory, driven, key, open, openScoped } from "./store.ts"

const keyOf = (index: number) => `k${String(index).padStart(3, "0")}`
/** Some 25 blocks. */
const cells = Array.from({ length: 200 }, (_, index) => cell(keyOf(index), index + 1, "x".repeat(400)))

const pathsOf = (memory: DiskMemory.DiskMemory, end: string) =>
  Array.from(memory.files().keys()).filter((path) => path.endsWith(end))

/** The cells are in one table that nothing is cached of. */
const stored = Effect.gen(function*() {
  const memory = DiskMemory.make(1)
  const storage = yield* openScoped(memory, { blockCacheBytesMax: 0 })
  yield* storage.apply(cells)
  yield* storage.flush
  const [path] = pathsOf(memory, ".sst")
  return { memory, storage, path: path! }
})

/** From a byte of a file on, so many cannot be read. */
const sector = (memory: DiskMemory.DiskMemory, file: string, from: number, bytes = 512) =>
  memory.setUnreadable((path, start, end) => path === file && start < from + bytes && from < end)

describe("a sector that cannot be read for good", () => {
  it.effect("costs the keys of its block: they are a hole until they are given back, and all others are served", () =>
    driven(
      Effect.gen(function*() {
        const { memory, path, storage } = yield* stored
        sector(memory, path, 20_000)
        assert.strictEqual((yield* storage.verify).damage.length, 1)
        yield* Effect.sleep("1 minute")
        const { compactions, holes, refusing } = yield* storage.stats
        assert.isUndefined(refusing)
        assert.deepStrictEqual(holes.map(({ file, reason }) => ({ file, reason })), [
          { file: path, reason: "the disk cannot read it (EIO)" }
        ])
        const isLost = (name: string) => holes[0]!.from <= name && name < holes[0]!.to
        const lost = cells.filter(({ key }) => isLost(key))
        assert.isAbove(lost.length, 0)
        assert.isBelow(lost.length, 12)
        for (const one of cells) {
          if (isLost(one.key)) assert.strictEqual((yield* Effect.flip(storage.get(one.key)))._tag, "Corruption")
          else assertCell(yield* storage.get(one.key), one)
        }
        yield* Effect.sleep("10 minutes")
        assert.strictEqual((yield* storage.stats).compactions, compactions, "the table is rewritten once")
        assert.notInclude(pathsOf(memory, ".sst"), path)
        yield* storage.apply(lost, { fills: holes })
        yield* storage.closeHoles(holes)
        yield* storage.compact
        assert.strictEqual((yield* collect(storage)).length, cells.length)
      }).pipe(Effect.scoped)
    ))

  it.effect("is found by a scan alone, which passes over it once it is given up", () =>
    driven(
      Effect.gen(function*() {
        const { memory, path, storage } = yield* stored
        // Far enough in that a scan reads several blocks at once.
        sector(memory, path, 62_000)
        const readable = Stream.runCollect(storage.scan({ damage: "skip" }))
        assert.strictEqual((yield* Effect.flip(readable))._tag, "DiskError")
        yield* Effect.sleep("1 minute")
        assert.strictEqual((yield* storage.stats).holes.length, 1)
        assert.isAbove((yield* readable).length, cells.length - 12)
      }).pipe(Effect.scoped)
    ))

  it.effect("of an index costs its table at the start, and the node starts", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const first = yield* open(memory)
      yield* first.storage.apply(cells)
      yield* first.storage.flush
      yield* first.storage.apply([cell("other", 1000)])
      yield* first.storage.flush
      yield* first.close
      sector(memory, pathsOf(memory, ".idx")[0]!, 0)
      const storage = yield* openScoped(memory)
      const { holes } = yield* storage.stats
      assert.deepStrictEqual(holes.map(({ from, to }) => [from, to]), [[keyOf(0), `${keyOf(199)}\u0000`]])
      assertCell(yield* storage.get(key("other")), cell("other", 1000))
      assert.strictEqual((yield* Effect.flip(storage.get(key(keyOf(3)))))._tag, "Corruption")
    }))
})

describe("a disk that cannot read", () => {
  it.effect.each(
    [
      ["anything", () => true],
      ["any table", (path: string) => path.endsWith(".sst")]
    ] as const
  )(
    "%s makes no hole: reads fail, the node says so, and all is well when it can again",
    ([, isUnreadable]) =>
      driven(
        Effect.gen(function*() {
          const { memory, storage } = yield* stored
          memory.setUnreadable(isUnreadable)
          for (const one of cells) assert.strictEqual((yield* Effect.flip(storage.get(one.key)))._tag, "DiskError")
          yield* storage.verify
          assert.strictEqual((yield* Effect.flip(storage.compact))._tag, "DiskError")
          yield* Effect.sleep("10 minutes")
          assert.deepInclude(yield* storage.stats, { holes: [], damage: undefined })
          assert.strictEqual((yield* storage.stats).refusing?._tag, "DiskError")
          memory.setUnreadable(() => false)
          for (const one of cells) assertCell(yield* storage.get(one.key), one)
          assert.isUndefined((yield* storage.stats).refusing)
        }).pipe(Effect.scoped)
      )
  )

  it.effect("a part of a table that is too large to give up does not stop the merges of others", () =>
    driven(
      Effect.gen(function*() {
        const { memory, storage } = yield* stored
        yield* storage.compact
        const [merged] = pathsOf(memory, ".sst")
        sector(memory, merged!, 20_000, 20_000)
        yield* storage.verify
        yield* Effect.sleep("1 minute")
        const { compactions } = yield* storage.stats
        for (let round = 1; round <= 10; round++) {
          yield* storage.apply([cell("z", 1000 + round)])
          yield* storage.flush
          yield* Effect.sleep("1 minute")
        }
        assert.isAbove((yield* storage.stats).compactions, compactions)
      }).pipe(Effect.scoped)
    ))

  it.effect("half a table makes no hole of it", () =>
    driven(
      Effect.gen(function*() {
        const { memory, path, storage } = yield* stored
        sector(memory, path, 20_000, 40_000)
        yield* storage.verify
        yield* Effect.sleep("10 minutes")
        assert.deepStrictEqual((yield* storage.stats).holes, [])
        assert.strictEqual((yield* storage.stats).refusing?._tag, "DiskError")
      }).pipe(Effect.scoped)
    ))

  it.effect.each(
    [
      ["the manifest", (path: string) => path === `${directory}/MANIFEST`],
      ["any index", (path: string) => path.endsWith(".idx")]
    ] as const
  )("%s does not start, and no table is moved", ([, isUnreadable]) =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const first = yield* open(memory)
      for (const counter of [1, 2, 3]) {
        yield* first.storage.apply([cell("a", counter)])
        yield* first.storage.flush
      }
      yield* first.close
      const before = pathsOf(memory, ".sst")
      memory.setUnreadable(isUnreadable)
      assert.strictEqual((yield* Effect.flip(open(memory)))._tag, "DiskError")
      assert.deepStrictEqual(pathsOf(memory, ".sst"), before)
    }))
})
