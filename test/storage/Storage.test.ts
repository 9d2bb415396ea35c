import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { NodeConfig } from "../../src/config/NodeConfig.ts"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import * as CellLine from "../../src/domain/cell/CellLine.ts"
import { Storage } from "../../src/storage/Storage.ts"
import {
  assertCell,
  cell,
  collect,
  crash,
  directory,
  driven,
  key,
  open,
  openScoped,
  tombstone,
  until,
  version
} from "./store.ts"

const applyOne = (storage: Storage["Service"], ...cells: Parameters<Storage["Service"]["apply"]>[0]) =>
  storage.apply(cells)

describe("merging", () => {
  it.effect("takes the newer cell, and answers the older one with what superseded it", () =>
    Effect.gen(function*() {
      const storage = yield* openScoped(DiskMemory.make(1))
      assert.deepStrictEqual(yield* applyOne(storage, cell("a", 5)), [{ _tag: "Accepted", replaced: false }])
      assert.deepStrictEqual(yield* applyOne(storage, cell("a", 4)), [{ _tag: "Superseded", newest: version(5) }])
      assert.deepStrictEqual(yield* applyOne(storage, cell("a", 6)), [{ _tag: "Accepted", replaced: true }])
      assertCell(yield* storage.get(key("a")), cell("a", 6))
      assert.deepStrictEqual(yield* storage.version(key("a")), version(6))
    }))

  for (const flushed of [false, true]) {
    const where = flushed ? "a table" : "memory"
    it.effect(`merges with what is in ${where}: newer, older, retry, tombstone`, () =>
      Effect.gen(function*() {
        const storage = yield* openScoped(DiskMemory.make(1))
        yield* storage.apply([cell("a", 5), tombstone("gone", 5)])
        if (flushed) yield* storage.flush
        assert.strictEqual((yield* storage.stats).tables, flushed ? 1 : 0)
        assert.deepStrictEqual(
          yield* storage.apply([cell("a", 4), cell("a", 5), cell("a", 7), cell("gone", 4), cell("gone", 6)]),
          [
            { _tag: "Superseded", newest: version(5) },
            { _tag: "Accepted", replaced: false },
            { _tag: "Accepted", replaced: true },
            { _tag: "Superseded", newest: version(5) },
            { _tag: "Accepted", replaced: false }
          ]
        )
        assertCell(yield* storage.get(key("a")), cell("a", 7))
        assertCell(yield* storage.get(key("gone")), cell("gone", 6))
      }))

    it.effect(`resolves equal versions with different bytes in ${where} the same way in either order, and counts them`, () =>
      Effect.gen(function*() {
        const lesser = cell("a", 5, "lesser")
        const greater = cell("a", 5, "zzz")
        for (const [first, second] of [[lesser, greater], [greater, lesser]] as const) {
          const storage = yield* openScoped(DiskMemory.make(1))
          yield* storage.apply([first])
          if (flushed) yield* storage.flush
          const [answer] = yield* storage.apply([second])
          assert.strictEqual(answer!._tag, second === greater ? "Accepted" : "Superseded")
          assertCell(yield* storage.get(key("a")), greater)
          assert.strictEqual((yield* storage.stats).equalVersionConflicts, 1)
        }
      }))
  }

  it.effect("decides cells of one call in their order", () =>
    Effect.gen(function*() {
      const storage = yield* openScoped(DiskMemory.make(1))
      const answers = yield* storage.apply([cell("a", 2), cell("a", 1), cell("a", 3), cell("a", 3)])
      assert.deepStrictEqual(answers.map(({ _tag }) => _tag), ["Accepted", "Superseded", "Accepted", "Accepted"])
      assertCell(yield* storage.get(key("a")), cell("a", 3))
    }))

  it.effect("appends nothing for a retry of a cell that is durable already", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory)
      yield* storage.apply([cell("a", 1)])
      const appends = memory.count("append")
      yield* storage.apply([cell("a", 1)])
      assert.strictEqual(memory.count("append"), appends)
    }))

  it.effect("knows the highest counter, also after it was superseded, flushed and reopened", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const first = yield* open(memory)
      assert.strictEqual(yield* first.storage.counterMax, 0)
      yield* first.storage.apply([cell("a", 90)])
      yield* first.storage.flush
      yield* first.storage.apply([cell("b", 70)])
      assert.strictEqual(yield* first.storage.counterMax, 90)
      yield* first.close
      const second = yield* openScoped(memory)
      assert.strictEqual(yield* second.counterMax, 90)
      yield* second.apply([cell("c", 95)])
      assert.strictEqual(yield* second.counterMax, 95)
    }))

  it.effect("has nothing of a key that never was", () =>
    Effect.gen(function*() {
      const storage = yield* openScoped(DiskMemory.make(1))
      yield* storage.apply([cell("b", 1)])
      yield* storage.flush
      for (const absent of ["a", "bb", "c"]) {
        assert.isUndefined(yield* storage.get(key(absent)))
        assert.isUndefined(yield* storage.version(key(absent)))
      }
    }))
})

describe("group commit", () => {
  it.effect("shares one append and one sync among all calls that wait", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory)
      yield* storage.apply([cell("first", 1)])
      const [appends, syncs] = [memory.count("append"), memory.count("sync")]
      yield* Effect.all(
        Array.from({ length: 100 }, (_, index) => storage.apply([cell(`k${index}`, index + 2)])),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(memory.count("append") - appends, 1)
      assert.strictEqual(memory.count("sync") - syncs, 1)
    }))

  it.effect("collects the next round while a sync is under way", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory)
      const first = yield* Effect.forkChild(storage.apply([cell("a", 1)]))
      yield* until(Effect.sync(() => memory.count("append") === 3))
      const others = yield* Effect.forkChild(Effect.all(
        Array.from({ length: 10 }, (_, index) => storage.apply([cell(`k${index}`, index + 2)])),
        { concurrency: "unbounded" }
      ))
      yield* Effect.yieldNow
      yield* memory.syncs.open
      yield* Fiber.join(first)
      yield* Fiber.join(others)
      assert.strictEqual(memory.count("append"), 4, "two of the manifest, one of each round")
      assert.strictEqual(memory.count("sync"), 4, "two of the manifest, one of each round")
    }))

  it.effect("shows and acknowledges a cell only once it is synced", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory)
      yield* memory.syncs.close
      const write = yield* Effect.forkChild(storage.apply([cell("a", 1)]))
      yield* until(Effect.sync(() => memory.count("append") === 2))
      assert.isUndefined(write.pollUnsafe())
      assert.isUndefined(yield* storage.get(key("a")))
      assert.isUndefined(yield* storage.version(key("a")))
      assert.deepStrictEqual(yield* collect(storage), [])
      yield* memory.syncs.open
      yield* Fiber.join(write)
      assertCell(yield* storage.get(key("a")), cell("a", 1))
    }))

  it.effect("shows the cell from before for as long as its successor is not synced", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory)
      yield* storage.apply([cell("a", 1)])
      yield* memory.syncs.close
      const appends = memory.count("append")
      const write = yield* Effect.forkChild(storage.apply([cell("a", 2), cell("a", 3), cell("a", 2)]))
      yield* until(Effect.sync(() => memory.count("append") > appends))
      assertCell(yield* storage.get(key("a")), cell("a", 1))
      assert.deepStrictEqual(yield* storage.version(key("a")), version(1))
      assert.deepStrictEqual((yield* collect(storage)).map(({ version }) => version.counter), [1])
      yield* memory.syncs.open
      assert.deepStrictEqual(yield* Fiber.join(write), [
        { _tag: "Accepted", replaced: true },
        { _tag: "Accepted", replaced: true },
        { _tag: "Superseded", newest: version(3) }
      ])
      assertCell(yield* storage.get(key("a")), cell("a", 3))
    }))

  it.effect("goes on when a caller is interrupted while it waits", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory)
      yield* memory.syncs.close
      const impatient = yield* Effect.forkChild(storage.apply([cell("a", 1)]))
      const patient = yield* Effect.forkChild(storage.apply([cell("b", 2)]))
      yield* until(Effect.sync(() => memory.count("append") === 2))
      yield* Fiber.interrupt(impatient)
      yield* memory.syncs.open
      yield* Fiber.join(patient)
      assertCell(yield* storage.get(key("b")), cell("b", 2))
      yield* storage.apply([cell("c", 3)])
    }))

  it.effect("splits what waits into rounds of bounded size", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory, { memtableBytesMax: 64 * 1024 * 1024 })
      const call = (from: number) =>
        Array.from({ length: 3000 }, (_, index) => cell(`k${from + index}`, from + index + 1))
      yield* Effect.all([storage.apply(call(0)), storage.apply(call(3000)), storage.apply(call(6000))], {
        concurrency: "unbounded"
      })
      assert.strictEqual(memory.count("append"), 4, "two of the manifest, two rounds")
      assert.strictEqual((yield* storage.stats).memtableCells, 9000)
    }))

  it.effect("bounds the values of a round, and takes one write that is larger alone", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory, { memtableBytesMax: 256 * 1024 * 1024 })
      const mebibytes = (name: string, counter: number, size: number) =>
        storage.apply([cell(name, counter, "x".repeat(size * 1024 * 1024))])
      yield* Effect.all([mebibytes("a", 1, 4), mebibytes("b", 2, 4), mebibytes("c", 3, 1), mebibytes("d", 4, 1)], {
        concurrency: "unbounded"
      })
      assert.strictEqual(memory.count("append"), 4, "two of the manifest, two rounds")
      yield* Effect.all([mebibytes("e", 5, 9), mebibytes("f", 6, 1)], { concurrency: "unbounded" })
      assert.strictEqual(memory.count("append"), 6)
      assert.strictEqual((yield* storage.stats).memtableCells, 6)
    }))

  it.effect("does not keep the buffer of a large round", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const buffers: Array<number> = []
      const openAppend: typeof memory.disk.openAppend = (path) =>
        Effect.map(memory.disk.openAppend(path), (handle) => ({
          ...handle,
          append: (bytes) => {
            if (path.includes("wal-")) buffers.push(bytes.buffer.byteLength)
            return handle.append(bytes)
          }
        }))
      const storage = yield* openScoped({ ...memory, disk: { ...memory.disk, openAppend } }, {
        memtableBytesMax: 64 * 1024 * 1024
      })
      yield* storage.apply([cell("large", 1, "x".repeat(3 * 1024 * 1024))])
      yield* storage.apply([cell("small", 2)])
      assert.isAtLeast(buffers[0]!, 3 * 1024 * 1024)
      assert.isAtMost(buffers[1]!, 1024 * 1024)
    }))

  it.effect("refuses calls once it is closed instead of leaving them waiting", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const opened = yield* open(memory)
      yield* memory.syncs.close
      const underWay = yield* Effect.forkChild(Effect.exit(opened.storage.apply([cell("a", 1)])))
      yield* until(Effect.sync(() => memory.count("append") === 2))
      const waiting = yield* Effect.forkChild(Effect.flip(opened.storage.apply([cell("b", 2)])))
      const flushing = yield* Effect.forkChild(Effect.flip(opened.storage.flush))
      yield* Effect.yieldNow
      const closing = yield* Effect.forkChild(opened.close)
      yield* Effect.yieldNow
      yield* memory.syncs.open
      yield* Fiber.join(closing)
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(underWay)))
      assert.include((yield* Fiber.join(waiting)).message, "CLOSED")
      assert.include((yield* Fiber.join(flushing)).message, "CLOSED")
      assert.include((yield* Effect.flip(opened.storage.apply([cell("c", 3)]))).message, "CLOSED")
      assert.include((yield* Effect.flip(opened.storage.flush)).message, "CLOSED")
    }))
})

describe("FSYNC", () => {
  it.effect("interval answers at once and syncs once a second, when there is something to sync", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory, { fsync: "interval" })
      yield* storage.apply([cell("a", 1)])
      const synced = memory.count("sync")
      yield* storage.apply([cell("a", 2)])
      assert.strictEqual(memory.count("sync"), synced)
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(memory.count("sync"), synced)
      yield* TestClock.adjust("1 millis")
      yield* until(Effect.sync(() => memory.count("sync") === synced + 1))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(memory.count("sync"), synced + 1)
    }))

  it.effect("interval brings acknowledged cells to a table when their log could not be synced", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const opened = yield* open(memory, { fsync: "interval" })
      yield* opened.storage.apply([cell("a", 1)])
      memory.failNext("sync", "wal-")
      yield* TestClock.adjust("1 seconds")
      yield* until(Effect.map(opened.storage.stats, ({ tables }) => tables === 1))
      yield* crash(memory, opened)
      assertCell(yield* (yield* openScoped(memory)).get(key("a")), cell("a", 1))
    }))

  it.effect("never leaves syncing of the log to the system", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const opened = yield* open(memory, { fsync: "never" })
      yield* opened.storage.apply([cell("b", 2)])
      const synced = memory.count("sync")
      yield* opened.storage.apply([cell("a", 1)])
      yield* TestClock.adjust("10 seconds")
      yield* opened.close
      assert.strictEqual(memory.count("sync"), synced)
      assertCell(yield* (yield* openScoped(memory)).get(key("a")), cell("a", 1))
    }))
})

/** The disk, whose tables are synced only while the latch is open. */
const holdingTableSyncs = (memory: DiskMemory.DiskMemory) => {
  const latch = Latch.makeUnsafe(true)
  const openAppend: typeof memory.disk.openAppend = (path, options) =>
    Effect.map(memory.disk.openAppend(path, options), (handle) => ({
      ...handle,
      sync: path.endsWith(".sst") ? Effect.andThen(latch.await, handle.sync) : handle.sync
    }))
  return { latch, memory: { ...memory, disk: { ...memory.disk, openAppend } } }
}

describe("flush and compaction", () => {
  it.effect("a table is lines of JSON in key order, one cell a line, tombstones among them", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory)
      yield* storage.apply([cell("b", 1), tombstone("a", 2), cell("ü", 3)])
      yield* storage.flush
      const [path, bytes] = Array.from(memory.files()).find(([name]) => name.endsWith(".sst"))!
      assert.strictEqual(path, `${directory}/000002.sst`)
      assert.deepStrictEqual(bytes.toString().split("\n"), [
        ...[tombstone("a", 2), cell("b", 1), cell("ü", 3)].map(CellLine.encode),
        "{\"format\":\"rondo-sstable-2\",\"cells\":3,\"tombstones\":1}",
        ""
      ])
    }))

  it.effect("a full memtable goes to a table in the background, and its log is removed", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory, { memtableBytesMax: 10_000 })
      for (let index = 0; index < 60; index++) yield* storage.apply([cell(`k${index}`, index + 1)])
      yield* until(Effect.map(storage.stats, ({ flushes }) => flushes === 1))
      for (let index = 0; index < 60; index++) {
        assertCell(yield* storage.get(key(`k${index}`)), cell(`k${index}`, index + 1))
      }
      yield* until(
        Effect.sync(() => Array.from(memory.files().keys()).filter((path) => path.includes("wal-")).length === 1)
      )
      const { logBytes, memtableBytes, memtableCells } = yield* storage.stats
      assert.isBelow(memtableCells, 60)
      assert.isAbove(memtableBytes, 0)
      assert.isAbove(logBytes, 0)
    }))

  it.effect("overwrites of one key bring it to a table before the log outgrows the memtable four times", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory, { memtableBytesMax: 4096 })
      for (let counter = 1; counter <= 300; counter++) yield* storage.apply([cell("hot", counter, "v".repeat(200))])
      yield* until(Effect.map(storage.stats, ({ flushes, logBytes }) => flushes > 0 && logBytes < 5 * 4096))
      assertCell(yield* storage.get(key("hot")), cell("hot", 300, "v".repeat(200)))
    }))

  it.effect("an overwrite of what lies in a table reads its block once, whether it is newer or not", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory)
      yield* storage.apply([cell("a", 5), tombstone("gone", 6)])
      yield* storage.flush
      const readsBefore = memory.count("read")
      assert.deepStrictEqual(yield* storage.apply([cell("a", 4), cell("a", 7), cell("gone", 8)]), [
        { _tag: "Superseded", newest: version(5) },
        { _tag: "Accepted", replaced: true },
        { _tag: "Accepted", replaced: false }
      ])
      assert.deepStrictEqual(yield* storage.version(key("a")), version(7))
      assert.strictEqual(memory.count("read"), readsBefore + 3, "three look-ups at once")
      yield* storage.apply([cell("a", 6), cell("gone", 7)])
      assert.strictEqual(memory.count("read"), readsBefore + 3)
    }))

  it.effect("a cell that came while its predecessor was flushed is newer than what the flush writes", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const tableSyncs = holdingTableSyncs(memory)
      const storage = yield* openScoped(tableSyncs.memory, { fsync: "never" })
      yield* storage.apply([cell("a", 5), cell("b", 5)])
      yield* tableSyncs.latch.close
      const flush = yield* Effect.forkChild(storage.flush)
      yield* until(Effect.sync(() => Array.from(memory.files().keys()).some((path) => path.endsWith(".sst"))))
      yield* storage.apply([cell("a", 7)])
      yield* tableSyncs.latch.open
      yield* Fiber.join(flush)
      for (const flushedAgain of [false, true]) {
        if (flushedAgain) yield* storage.flush
        assert.deepStrictEqual(yield* storage.version(key("a")), version(7))
        assert.deepStrictEqual(yield* storage.version(key("b")), version(5))
        assert.deepStrictEqual(yield* storage.apply([cell("a", 6), cell("b", 4)]), [
          { _tag: "Superseded", newest: version(7) },
          { _tag: "Superseded", newest: version(5) }
        ])
      }
    }))

  it.effect("cells of one key keep their order when the first of them must be compared with a table", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory, { blockCacheBytesMax: 1 })
      yield* storage.apply([cell("a", 5), cell("b", 5)])
      yield* storage.flush
      const answers = yield* Effect.all(
        [[cell("a", 5)], [cell("b", 6)], [cell("a", 7), cell("a", 6)]].map((cells) => storage.apply(cells)),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(answers, [
        [{ _tag: "Accepted", replaced: false }],
        [{ _tag: "Accepted", replaced: true }],
        [{ _tag: "Accepted", replaced: true }, { _tag: "Superseded", newest: version(7) }]
      ])
    }))

  it.effect("a key that several tables hold is read from the one with the highest counters alone", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory, { blockCacheBytesMax: 1 })
      for (const counter of [1, 2, 3]) {
        yield* storage.apply([cell("a", counter), cell(`only-${counter}`, counter)])
        yield* storage.flush
      }
      assert.strictEqual((yield* storage.stats).tables, 3)
      const readsBefore = memory.count("read")
      assertCell(yield* storage.get(key("a")), cell("a", 3))
      assert.strictEqual(memory.count("read") - readsBefore, 1)
      assertCell(yield* storage.get(key("only-1")), cell("only-1", 1))
    }))

  it.effect("merges four tables of similar size into one that holds the newest of each key and every tombstone", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory)
      yield* storage.apply([cell("a", 1), cell("b", 2), cell("only", 3)])
      yield* storage.flush
      yield* storage.apply([cell("a", 4)])
      yield* storage.flush
      yield* storage.apply([tombstone("b", 5)])
      yield* storage.flush
      assert.strictEqual((yield* storage.stats).tables, 3)
      yield* storage.apply([cell("quoted \"key\" \\ \n", 6)])
      yield* storage.flush
      yield* until(Effect.map(storage.stats, ({ compactions, tables }) => compactions === 1 && tables === 1))
      const expected = [cell("a", 4), tombstone("b", 5), cell("only", 3), cell("quoted \"key\" \\ \n", 6)]
      for (const one of expected) assertCell(yield* storage.get(one.key), one)
      yield* until(
        Effect.sync(() => Array.from(memory.files().keys()).filter((path) => path.endsWith(".sst")).length === 1)
      )
      const lines = Array.from(memory.files()).find(([path]) => path.endsWith(".sst"))![1].toString().trim().split("\n")
      assert.deepStrictEqual(lines.slice(0, -1), expected.map(CellLine.encode))
    }))

  it.effect("a compaction that was asked for leaves no file that it replaced, also when the store is closed at once", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const opened = yield* open(memory)
      for (const counter of [1, 2, 3]) {
        yield* opened.storage.apply([cell("a", counter), cell("b", counter)])
        yield* opened.storage.flush
      }
      yield* opened.storage.compact
      yield* opened.close
      assert.strictEqual(Array.from(memory.files().keys()).filter((path) => path.endsWith(".sst")).length, 1)
    }))

  it.effect("a compaction takes the blocks of the tables that it replaced out of memory", () =>
    Effect.gen(function*() {
      const storage = yield* openScoped(DiskMemory.make(1))
      for (let round = 1; round <= 2; round++) {
        yield* storage.apply(Array.from({ length: 50 }, (_, index) => cell(`k${index}`, round, "x".repeat(1000))))
        yield* storage.flush
        for (let index = 0; index < 50; index++) yield* storage.get(key(`k${index}`))
      }
      assert.isAbove((yield* storage.stats).cacheBytes, 50_000)
      yield* storage.compact
      assert.strictEqual((yield* storage.stats).cacheBytes, 0)
    }))

  it.effect("a compaction that somebody waits for is refused when the store closes, not left waiting", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const opened = yield* open(memory)
      yield* opened.storage.apply([cell("a", 1)])
      yield* opened.storage.flush
      yield* memory.syncs.close
      const waiting = yield* Effect.forkChild(Effect.exit(opened.storage.compact))
      yield* until(
        Effect.sync(() => Array.from(memory.files().keys()).filter((path) => path.endsWith(".sst")).length > 1)
      )
      const closing = yield* Effect.forkChild(opened.close)
      yield* memory.syncs.open
      yield* Fiber.join(closing)
      yield* Fiber.join(waiting)
    }))

  it.effect("a store that need not tell what was replaced asks no table about newer cells, and still refuses older ones", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory, { tellsReplaced: false })
      yield* storage.apply([cell("a", 5), cell("b", 6)])
      yield* storage.flush
      assert.deepStrictEqual(yield* storage.apply([cell("a", 7)]), [{ _tag: "Accepted", replaced: false }])
      assert.strictEqual(memory.count("read"), 0)
      assert.deepStrictEqual(yield* storage.apply([cell("b", 4)]), [{ _tag: "Superseded", newest: version(6) }])
      assertCell(yield* storage.get(key("a")), cell("a", 7))
    }))

  it.effect("with interval, a log that cannot be synced and holds nothing makes no table", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const opened = yield* open(memory, { fsync: "interval" })
      memory.setFull(true)
      yield* Effect.flip(opened.storage.apply([cell("a", 1)]))
      memory.setFull(false)
      yield* TestClock.adjust("1 seconds")
      yield* until(Effect.map(opened.storage.stats, ({ refusing }) => refusing === undefined))
      memory.failNext("sync", "wal-")
      yield* driven(until(Effect.map(opened.storage.stats, ({ refusing }) => refusing !== undefined)))
      yield* driven(opened.storage.apply([cell("b", 2)]))
      assert.strictEqual((yield* opened.storage.stats).flushes, 0)
      yield* crash(memory, opened)
      assertCell(yield* (yield* openScoped(memory)).get(key("b")), undefined)
    }))

  it.effect("pages of a scan are bounded in bytes", () =>
    Effect.gen(function*() {
      const storage = yield* openScoped(DiskMemory.make(1), { memtableBytesMax: 64 * 1024 * 1024 })
      for (let index = 0; index < 5; index++) yield* storage.apply([cell(`k${index}`, index + 1, "x".repeat(700_000))])
      yield* Effect.scoped(Effect.gen(function*() {
        const cursor = yield* (yield* storage.view).cursor()
        const sizes: Array<number> = []
        for (let page = yield* cursor.next(100); page.length > 0; page = yield* cursor.next(100)) {
          sizes.push(page.length)
        }
        assert.deepStrictEqual(sizes, [2, 2, 1])
      }))
    }))

  it.effect("an empty memtable makes no table", () =>
    Effect.gen(function*() {
      const storage = yield* openScoped(DiskMemory.make(1))
      yield* storage.flush
      assert.strictEqual((yield* storage.stats).tables, 0)
    }))

  it.effect("flushes asked for at once share their work and see everything applied before them", () =>
    Effect.gen(function*() {
      const storage = yield* openScoped(DiskMemory.make(1))
      yield* storage.apply([cell("a", 1)])
      const first = yield* Effect.forkChild(storage.flush)
      yield* until(Effect.map(storage.stats, ({ memtableCells }) => memtableCells === 1))
      yield* storage.apply([cell("b", 2)])
      yield* storage.flush
      yield* Fiber.join(first)
      assert.strictEqual((yield* storage.stats).memtableCells, 0)
    }))

  it.effect("slows writers while the flush lags, and stops them at twice the memtable's size", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const tableSyncs = holdingTableSyncs(memory)
      const storage = yield* openScoped(tableSyncs.memory, { memtableBytesMax: 4000, fsync: "never" })
      yield* tableSyncs.latch.close
      let done = 0
      const writer = yield* Effect.forkChild(Effect.gen(function*() {
        for (; done < 100; done++) yield* storage.apply([cell(`k${done}`, done + 1)])
      }))
      yield* until(Effect.map(storage.stats, ({ memtableBytes }) => memtableBytes > 8000))
      const before = done
      yield* Effect.yieldNow
      assert.strictEqual(done, before, "waits for the clock")
      yield* TestClock.adjust("1 minute")
      const { memtableBytes } = yield* storage.stats
      assert.isAtLeast(memtableBytes, 12_000, "the one being flushed and twice its size")
      assert.isBelow(memtableBytes, 13_000)
      assert.isBelow(done, 100)
      yield* tableSyncs.latch.open
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(writer)
    }))
})

describe("scan", () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, index) => cell(`k${String(index).padStart(4, "0")}`, index + 1))

  it.effect("gives the newest of each key in key order from memory and tables, tombstones included", () =>
    Effect.gen(function*() {
      const storage = yield* openScoped(DiskMemory.make(1))
      yield* storage.apply([cell("d", 1), cell("b", 2), cell("a", 3)])
      yield* storage.flush
      yield* storage.apply([tombstone("b", 4), cell("c", 5), cell("\u{1F600}", 6), cell("\uFFEE", 7)])
      const cells = yield* collect(storage)
      assert.deepStrictEqual(cells.map((one) => one.key as string), ["a", "b", "c", "d", "\uFFEE", "\u{1F600}"])
      assertCell(cells[1], tombstone("b", 4))
    }))

  it.effect("starts at a key and keeps to a prefix", () =>
    Effect.gen(function*() {
      const storage = yield* openScoped(DiskMemory.make(1))
      for (const text of ["a", "ab", "abc", "abd", "b"]) {
        yield* storage.apply([cell(text, 1)])
        if (text === "abc") yield* storage.flush
      }
      const keys = (options: Parameters<typeof collect>[1]) =>
        Effect.map(collect(storage, options), (cells) => cells.map((one) => one.key as string))
      assert.deepStrictEqual(yield* keys({ prefix: "ab" }), ["ab", "abc", "abd"])
      assert.deepStrictEqual(yield* keys({ from: key("abc") }), ["abc", "abd", "b"])
      assert.deepStrictEqual(yield* keys({ from: key("abcx"), prefix: "ab" }), ["abd"])
      assert.deepStrictEqual(yield* keys({ from: key("a"), prefix: "ab" }), ["ab", "abc", "abd"])
      assert.deepStrictEqual(yield* keys({ prefix: "x" }), [])
    }))

  it.effect("shows the store as it was when it began, whatever is written, flushed and compacted meanwhile", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      // Without a cache every block comes from the table's own file.
      const storage = yield* openScoped(memory, { blockCacheBytesMax: 1 })
      const cells = many(2000)
      for (let part = 0; part < 3; part++) {
        yield* storage.apply(cells.slice(part * 600, part * 600 + 600))
        yield* storage.flush
      }
      yield* storage.apply(cells.slice(1800))
      let seen = 0
      yield* Stream.runForEach(storage.scan(), (one) =>
        Effect.gen(function*() {
          assertCell(one, cells[seen])
          seen++
          if (seen !== 10) return
          yield* storage.apply(cells.map((old) => ({ ...old, version: version(9000) })))
          yield* storage.flush
          yield* until(Effect.map(storage.stats, ({ tables }) => tables === 1))
          const tables = Array.from(memory.files().keys()).filter((path) => path.endsWith(".sst"))
          assert.isAbove(tables.length, 1, "the scan holds its tables")
        }))
      assert.strictEqual(seen, 2000)
      yield* until(
        Effect.sync(() => Array.from(memory.files().keys()).filter((path) => path.endsWith(".sst")).length === 1)
      )
    }))

  it.effect("lets its tables go when it is left early", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory)
      yield* storage.apply(many(1000))
      yield* storage.flush
      const some = yield* storage.scan().pipe(Stream.take(5), Stream.runCollect)
      assert.strictEqual(some.length, 5)
      for (let round = 0; round < 3; round++) {
        yield* storage.apply([cell("k0001", 5000 + round)])
        yield* storage.flush
      }
      yield* until(Effect.map(storage.stats, ({ tables }) => tables === 1))
      yield* until(
        Effect.sync(() => Array.from(memory.files().keys()).filter((path) => path.endsWith(".sst")).length === 1)
      )
    }))
})

describe("layers", () => {
  it.effect("layerMemory is the engine over files in memory", () =>
    Effect.gen(function*() {
      const storage = yield* Storage
      yield* storage.apply([cell("a", 1)])
      yield* storage.flush
      assertCell(yield* storage.get(key("a")), cell("a", 1))
    }).pipe(Effect.provide(Storage.layerMemory.pipe(Layer.provide(NodeConfig.layerTest())))))
})
