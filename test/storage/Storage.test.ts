import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Layer, Stream } from "effect"
import { NodeConfig } from "../../src/config/NodeConfig.ts"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import * as CellLine from "../../src/domain/cell/CellLine.ts"
import { Storage } from "../../src/storage/Storage.ts"
import { inVirtualTime } from "../inVirtualTime.ts"
import {
  accepted,
  assertAbsent,
  assertCell,
  assertHolds,
  atOnce,
  cell,
  collect,
  key,
  numbered,
  pathsOf,
  replacing,
  stage,
  superseded,
  tombstone,
  until,
  version,
  withHandles,
  withSettings,
  withStore,
  writeTable
} from "./store.ts"

describe("merging", () => {
  for (const flushed of [false, true]) {
    const where = flushed ? "a table" : "memory"
    withStore(`merges with what is in ${where}: newer, older, retry, tombstone`, function*({ storage }) {
      yield* storage.apply([cell("a", 5), tombstone("gone", 5)])
      if (flushed) yield* storage.flush
      assert.strictEqual((yield* storage.stats).tables, flushed ? 1 : 0)
      const written = [cell("a", 4), cell("a", 5), cell("a", 7), cell("gone", 4), cell("gone", 6)]
      const answers = [superseded(5), accepted, replacing, superseded(5), accepted]
      assert.deepStrictEqual(yield* storage.apply(written), answers)
      assert.deepStrictEqual(yield* storage.version(key("a")), version(7))
      yield* assertHolds(storage, cell("a", 7), cell("gone", 6))
    })

    inVirtualTime(`takes the greater of equal versions in ${where} in either order, and counts them`, function*() {
      const lesser = cell("a", 5, "lesser")
      const greater = cell("a", 5, "zzz")
      for (const [first, second] of [[lesser, greater], [greater, lesser]] as const) {
        const { storage } = yield* stage()
        yield* storage.apply([first])
        if (flushed) yield* storage.flush
        const [answer] = yield* storage.apply([second])
        assert.strictEqual(answer!._tag, second === greater ? "Accepted" : "Superseded")
        assertCell(yield* storage.get(key("a")), greater)
        assert.strictEqual((yield* storage.stats).equalVersionConflicts, 1)
      }
    })
  }

  withStore("appends nothing for a retry of a cell that is durable already", function*({ memory, storage }) {
    yield* storage.apply([cell("a", 1)])
    const appends = memory.count("append")
    yield* storage.apply([cell("a", 1)])
    assert.strictEqual(memory.count("append"), appends)
  })

  withStore("knows the highest counter after flushes and a restart, too", function*({ restart, storage }) {
    assert.strictEqual(yield* storage.counterMax, 0)
    yield* writeTable(storage, cell("a", 90))
    yield* storage.apply([cell("b", 70)])
    assert.strictEqual(yield* storage.counterMax, 90)
    const second = yield* restart
    assert.strictEqual(yield* second.counterMax, 90)
    yield* second.apply([cell("c", 95)])
    assert.strictEqual(yield* second.counterMax, 95)
  })
})

describe("group commit", () => {
  withStore("shares one append and one sync among all calls that wait", function*({ memory, storage }) {
    yield* storage.apply([cell("first", 1)])
    const [appends, syncs] = [memory.count("append"), memory.count("sync")]
    yield* atOnce(Array.from({ length: 100 }, (_, index) => storage.apply([cell(`k${index}`, index + 2)])))
    assert.strictEqual(memory.count("append") - appends, 1)
    assert.strictEqual(memory.count("sync") - syncs, 1)
  })

  withStore("collects the next round while a sync is under way", function*({ memory, storage }) {
    const first = yield* Effect.forkChild(storage.apply([cell("a", 1)]))
    yield* until(Effect.sync(() => memory.count("append") === 3))
    const others = yield* Effect.forkChild(
      atOnce(Array.from({ length: 10 }, (_, index) => storage.apply([cell(`k${index}`, index + 2)])))
    )
    yield* Effect.yieldNow
    yield* memory.syncs.open
    yield* Fiber.join(first)
    yield* Fiber.join(others)
    assert.strictEqual(memory.count("append"), 4, "two of the manifest, one of each round")
    assert.strictEqual(memory.count("sync"), 4, "two of the manifest, one of each round")
  })

  withStore("shows and acknowledges a cell only once it is synced", function*({ memory, storage }) {
    yield* memory.syncs.close
    const write = yield* Effect.forkChild(storage.apply([cell("a", 1)]))
    yield* until(Effect.sync(() => memory.count("append") === 2))
    assert.isUndefined(write.pollUnsafe())
    yield* assertAbsent(storage, "a")
    assert.isUndefined(yield* storage.version(key("a")))
    assert.deepStrictEqual(yield* collect(storage), [])
    yield* memory.syncs.open
    yield* Fiber.join(write)
    yield* assertHolds(storage, cell("a", 1))
  })

  withStore("shows the previous cell until its successor is synced", function*({ memory, storage }) {
    yield* storage.apply([cell("a", 1)])
    yield* memory.syncs.close
    const appends = memory.count("append")
    const write = yield* Effect.forkChild(storage.apply([cell("a", 2), cell("a", 3), cell("a", 2)]))
    yield* until(Effect.sync(() => memory.count("append") > appends))
    yield* assertHolds(storage, cell("a", 1))
    assert.deepStrictEqual(yield* storage.version(key("a")), version(1))
    assert.deepStrictEqual((yield* collect(storage)).map(({ version }) => version.counter), [1])
    yield* memory.syncs.open
    assert.deepStrictEqual(yield* Fiber.join(write), [replacing, replacing, superseded(3)])
    yield* assertHolds(storage, cell("a", 3))
  })

  withStore("still runs when a waiting caller is interrupted", function*({ memory, storage }) {
    yield* memory.syncs.close
    const impatient = yield* Effect.forkChild(storage.apply([cell("a", 1)]))
    const patient = yield* Effect.forkChild(storage.apply([cell("b", 2)]))
    yield* until(Effect.sync(() => memory.count("append") === 2))
    yield* Fiber.interrupt(impatient)
    yield* memory.syncs.open
    yield* Fiber.join(patient)
    yield* assertHolds(storage, cell("b", 2))
    yield* storage.apply([cell("c", 3)])
  })

  const withLargeMemtable = withSettings({ memtableBytesMax: 256 * 1024 * 1024 })

  withLargeMemtable("splits waiting calls into rounds of bounded size", function*({ memory, storage }) {
    const call = (from: number) =>
      Array.from({ length: 3000 }, (_, index) => cell(`k${from + index}`, from + index + 1))
    yield* atOnce([0, 3000, 6000].map((from) => storage.apply(call(from))))
    assert.strictEqual(memory.count("append"), 4, "two of the manifest, two rounds")
    assert.strictEqual((yield* storage.stats).memtableCells, 9000)
  })

  withLargeMemtable(
    "bounds the values of a round, but takes one larger write by itself",
    function*({ memory, storage }) {
      const write = ([name, mebibytes]: readonly [string, number]) =>
        storage.apply([cell(name, 1, "x".repeat(mebibytes * 1024 * 1024))])
      yield* atOnce([["a", 4] as const, ["b", 4] as const, ["c", 1] as const, ["d", 1] as const].map(write))
      assert.strictEqual(memory.count("append"), 4, "two of the manifest, two rounds")
      yield* atOnce([["e", 9] as const, ["f", 1] as const].map(write))
      assert.strictEqual(memory.count("append"), 6)
      assert.strictEqual((yield* storage.stats).memtableCells, 6)
    }
  )

  inVirtualTime("does not keep the buffer of a large round", function*() {
    const buffers: Array<number> = []
    const memory = withHandles(DiskMemory.make(1), (path, handle) => ({
      ...handle,
      append: (bytes) => {
        if (path.includes("wal-")) buffers.push(bytes.buffer.byteLength)
        return handle.append(bytes)
      }
    }))
    const { storage } = yield* stage({ memtableBytesMax: 64 * 1024 * 1024 }, memory)
    yield* storage.apply([cell("large", 1, "x".repeat(3 * 1024 * 1024))])
    yield* storage.apply([cell("small", 2)])
    assert.isAtLeast(buffers[0]!, 3 * 1024 * 1024)
    assert.isAtMost(buffers[1]!, 1024 * 1024)
  })

  withStore("refuses calls once it is closed instead of leaving them waiting", function*({ close, memory, storage }) {
    yield* memory.syncs.close
    const underWay = yield* Effect.forkChild(Effect.exit(storage.apply([cell("a", 1)])))
    yield* until(Effect.sync(() => memory.count("append") === 2))
    const waiting = yield* Effect.forkChild(Effect.flip(storage.apply([cell("b", 2)])))
    const flushing = yield* Effect.forkChild(Effect.flip(storage.flush))
    yield* Effect.yieldNow
    const closing = yield* Effect.forkChild(close)
    yield* Effect.yieldNow
    yield* memory.syncs.open
    yield* Fiber.join(closing)
    assert.isTrue(Exit.isSuccess(yield* Fiber.join(underWay)))
    assert.include((yield* Fiber.join(waiting)).message, "CLOSED")
    assert.include((yield* Fiber.join(flushing)).message, "CLOSED")
    assert.include((yield* Effect.flip(storage.apply([cell("c", 3)]))).message, "CLOSED")
    assert.include((yield* Effect.flip(storage.flush)).message, "CLOSED")
  })
})

describe("FSYNC", () => {
  const onInterval = withSettings({ fsync: "interval" })

  onInterval("interval answers at once and syncs once a second if there is need", function*({ memory, storage }) {
    yield* storage.apply([cell("a", 1)])
    const synced = memory.count("sync")
    yield* storage.apply([cell("a", 2)])
    assert.strictEqual(memory.count("sync"), synced)
    yield* Effect.sleep("999 millis")
    assert.strictEqual(memory.count("sync"), synced)
    yield* Effect.sleep("1 millis")
    yield* until(Effect.sync(() => memory.count("sync") === synced + 1))
    yield* Effect.sleep("5 seconds")
    assert.strictEqual(memory.count("sync"), synced + 1)
  })

  onInterval(
    "interval flushes acknowledged cells if their log cannot be synced",
    function*({ crash, memory, storage }) {
      yield* storage.apply([cell("a", 1)])
      memory.failNext("sync", "wal-")
      yield* Effect.sleep("1 seconds")
      yield* until(Effect.map(storage.stats, ({ tables }) => tables === 1))
      yield* assertHolds(yield* crash, cell("a", 1))
    }
  )

  onInterval("interval does not flush for an empty log that cannot be synced", function*({ crash, memory, storage }) {
    memory.setFull(true)
    yield* Effect.flip(storage.apply([cell("a", 1)]))
    memory.setFull(false)
    yield* Effect.sleep("1 seconds")
    yield* until(Effect.map(storage.stats, ({ refusing }) => refusing === undefined))
    memory.failNext("sync", "wal-")
    yield* until(Effect.map(storage.stats, ({ refusing }) => refusing !== undefined), Effect.sleep("100 millis"))
    yield* storage.apply([cell("b", 2)])
    assert.strictEqual((yield* storage.stats).flushes, 0)
    yield* assertAbsent(yield* crash, "b")
  })

  withSettings({ fsync: "never" })("never does not sync the log", function*({ close, memory, restart, storage }) {
    yield* storage.apply([cell("b", 2)])
    const synced = memory.count("sync")
    yield* storage.apply([cell("a", 1)])
    yield* Effect.sleep("10 seconds")
    yield* close
    assert.strictEqual(memory.count("sync"), synced)
    yield* assertHolds(yield* restart, cell("a", 1))
  })
})

/** A disk that syncs tables only while the latch is open. */
const holdingTableSyncs = () => {
  const latch = Latch.makeUnsafe(true)
  const memory = withHandles(DiskMemory.make(1), (path, handle) => ({
    ...handle,
    sync: path.endsWith(".sst") ? Effect.andThen(latch.await, handle.sync) : handle.sync
  }))
  return { latch, memory }
}

/** Without a cache every block comes from its table's file. */
const uncached = withSettings({ blockCacheBytesMax: 1 })

describe("flush and compaction", () => {
  withSettings({ memtableBytesMax: 10_000 })(
    "a full memtable is flushed in the background, and its log is removed",
    function*({ memory, storage }) {
      const cells = numbered(60)
      for (const one of cells) yield* storage.apply([one])
      yield* until(Effect.map(storage.stats, ({ flushes }) => flushes === 1))
      yield* assertHolds(storage, ...cells)
      yield* until(Effect.sync(() => pathsOf(memory, "wal-").length === 1))
      const { logBytes, memtableBytes, memtableCells } = yield* storage.stats
      assert.isBelow(memtableCells, 60)
      assert.isAbove(memtableBytes, 0)
      assert.isAbove(logBytes, 0)
    }
  )

  withSettings({ memtableBytesMax: 10_000, fullShare: Effect.succeed(0.5) })(
    "each memtable but the first is flushed at the share of its size that was drawn for it",
    function*({ storage }) {
      yield* storage.apply(numbered(60))
      yield* storage.apply([cell("next", 61)])
      yield* until(Effect.map(storage.stats, ({ flushes }) => flushes === 1))
      for (const one of numbered(60)) {
        yield* storage.apply([{ ...one, version: version(one.version.counter + 100) }])
        yield* until(Effect.map(storage.stats, ({ memtableBytes }) => memtableBytes < 5500))
      }
    }
  )

  withSettings({ memtableBytesMax: 4096 })(
    "overwrites of one key cause a flush before the log is five memtables long",
    function*({ storage }) {
      for (let counter = 1; counter <= 300; counter++) yield* storage.apply([cell("hot", counter, "v".repeat(200))])
      yield* until(Effect.map(storage.stats, ({ flushes, logBytes }) => flushes > 0 && logBytes < 5 * 4096))
      yield* assertHolds(storage, cell("hot", 300, "v".repeat(200)))
    }
  )

  withStore("a write to a key of a table reads its block once, newer or not", function*({ memory, storage }) {
    yield* writeTable(storage, cell("a", 5), tombstone("gone", 6))
    const readsBefore = memory.count("read")
    assert.deepStrictEqual(yield* storage.apply([cell("a", 4), cell("a", 7), cell("gone", 8)]), [
      superseded(5),
      replacing,
      accepted
    ])
    assert.deepStrictEqual(yield* storage.version(key("a")), version(7))
    assert.strictEqual(memory.count("read"), readsBefore + 3, "three look-ups at once")
    yield* storage.apply([cell("a", 6), cell("gone", 7)])
    assert.strictEqual(memory.count("read"), readsBefore + 3)
  })

  inVirtualTime("a cell that arrives while its predecessor is flushed stays the newer one", function*() {
    const { latch, memory } = holdingTableSyncs()
    const { storage } = yield* stage({ fsync: "never" }, memory)
    yield* storage.apply([cell("a", 5), cell("b", 5)])
    yield* latch.close
    const flush = yield* Effect.forkChild(storage.flush)
    yield* until(Effect.sync(() => pathsOf(memory, ".sst").length > 0))
    yield* storage.apply([cell("a", 7)])
    yield* latch.open
    yield* Fiber.join(flush)
    for (const flushedAgain of [false, true]) {
      if (flushedAgain) yield* storage.flush
      assert.deepStrictEqual(yield* storage.version(key("a")), version(7))
      assert.deepStrictEqual(yield* storage.version(key("b")), version(5))
      assert.deepStrictEqual(yield* storage.apply([cell("a", 6), cell("b", 4)]), [superseded(7), superseded(5)])
    }
  })

  uncached("cells of one key keep their order while the first waits for a table", function*({ storage }) {
    yield* writeTable(storage, cell("a", 5), cell("b", 5))
    const calls = [[cell("a", 5)], [cell("b", 6)], [cell("a", 7), cell("a", 6)]]
    const answers = yield* atOnce(calls.map((cells) => storage.apply(cells)))
    assert.deepStrictEqual(answers, [[accepted], [replacing], [replacing, superseded(7)]])
  })

  uncached("a key in several tables is read from the one with the highest counters", function*({ memory, storage }) {
    for (const counter of [1, 2, 3]) yield* writeTable(storage, cell("a", counter), cell(`only-${counter}`, counter))
    assert.strictEqual((yield* storage.stats).tables, 3)
    const readsBefore = memory.count("read")
    yield* assertHolds(storage, cell("a", 3))
    assert.strictEqual(memory.count("read") - readsBefore, 1)
    yield* assertHolds(storage, cell("only-1", 1))
  })

  withStore(
    "merges four tables into one with the newest cell of each key, tombstones too",
    function*({ memory, storage }) {
      yield* writeTable(storage, cell("a", 1), cell("b", 2), cell("only", 3))
      yield* writeTable(storage, cell("a", 4))
      yield* writeTable(storage, tombstone("b", 5))
      assert.strictEqual((yield* storage.stats).tables, 3)
      yield* writeTable(storage, cell("quoted \"key\" \\ \n", 6))
      yield* until(Effect.map(storage.stats, ({ compactions, tables }) => compactions === 1 && tables === 1))
      const expected = [cell("a", 4), tombstone("b", 5), cell("only", 3), cell("quoted \"key\" \\ \n", 6)]
      yield* assertHolds(storage, ...expected)
      yield* until(Effect.sync(() => pathsOf(memory, ".sst").length === 1))
      const lines = Array.from(memory.files()).find(([path]) => path.endsWith(".sst"))![1].toString().trim().split("\n")
      assert.deepStrictEqual(lines.slice(0, -1), expected.map(CellLine.encode))
    }
  )

  withStore("a compaction removes the files that it replaced before it ends", function*({ close, memory, storage }) {
    for (const counter of [1, 2, 3]) yield* writeTable(storage, cell("a", counter), cell("b", counter))
    yield* storage.compact
    yield* close
    assert.strictEqual(pathsOf(memory, ".sst").length, 1)
  })

  withStore("a compaction drops the cached blocks of the tables that it replaced", function*({ storage }) {
    for (let round = 1; round <= 2; round++) {
      yield* storage.apply(Array.from({ length: 50 }, (_, index) => cell(`k${index}`, round, "x".repeat(1000))))
      yield* storage.flush
      for (let index = 0; index < 50; index++) yield* storage.get(key(`k${index}`))
    }
    assert.isAbove((yield* storage.stats).cacheBytes, 50_000)
    yield* storage.compact
    assert.strictEqual((yield* storage.stats).cacheBytes, 0)
  })

  withStore(
    "a compaction under way does not keep its caller waiting once the store is closed",
    function*({ close, memory, storage }) {
      yield* writeTable(storage, cell("a", 1))
      yield* memory.syncs.close
      const waiting = yield* Effect.forkChild(Effect.exit(storage.compact))
      yield* until(Effect.sync(() => pathsOf(memory, ".sst").length > 1))
      const closing = yield* Effect.forkChild(close)
      yield* memory.syncs.open
      yield* Fiber.join(closing)
      yield* Fiber.join(waiting)
    }
  )

  withSettings({ tellsReplaced: false })(
    "without `tellsReplaced` newer cells cause no look-up, and older ones are refused",
    function*({ memory, storage }) {
      yield* writeTable(storage, cell("a", 5), cell("b", 6))
      assert.deepStrictEqual(yield* storage.apply([cell("a", 7)]), [accepted])
      assert.strictEqual(memory.count("read"), 0)
      assert.deepStrictEqual(yield* storage.apply([cell("b", 4)]), [superseded(6)])
      yield* assertHolds(storage, cell("a", 7))
    }
  )

  withSettings({ memtableBytesMax: 64 * 1024 * 1024 })("pages of a scan are bounded in bytes", function*({ storage }) {
    for (let index = 0; index < 5; index++) yield* storage.apply([cell(`k${index}`, index + 1, "x".repeat(700_000))])
    yield* Effect.scoped(Effect.gen(function*() {
      const cursor = yield* (yield* storage.view).cursor()
      const sizes: Array<number> = []
      for (let page = yield* cursor.next(100); page.length > 0; page = yield* cursor.next(100)) {
        sizes.push(page.length)
      }
      assert.deepStrictEqual(sizes, [2, 2, 1])
    }))
  })

  withStore("an empty memtable makes no table", function*({ storage }) {
    yield* storage.flush
    assert.strictEqual((yield* storage.stats).tables, 0)
  })

  withStore("a flush includes everything applied before it, though another is under way", function*({ storage }) {
    yield* storage.apply([cell("a", 1)])
    const first = yield* Effect.forkChild(storage.flush)
    yield* until(Effect.map(storage.stats, ({ memtableCells }) => memtableCells === 1))
    yield* writeTable(storage, cell("b", 2))
    yield* Fiber.join(first)
    assert.strictEqual((yield* storage.stats).memtableCells, 0)
  })

  inVirtualTime("slows writers while the flush lags, and stops them at twice the memtable's size", function*() {
    const { latch, memory } = holdingTableSyncs()
    const { storage } = yield* stage({ memtableBytesMax: 4000, fsync: "never" }, memory)
    yield* latch.close
    let done = 0
    const writer = yield* Effect.forkChild(Effect.gen(function*() {
      for (; done < 100; done++) yield* storage.apply([cell(`k${done}`, done + 1)])
    }))
    yield* until(Effect.map(storage.stats, ({ memtableBytes }) => memtableBytes > 8000))
    const before = done
    yield* Effect.yieldNow
    assert.strictEqual(done, before, "waits for the clock")
    yield* Effect.sleep("1 minute")
    const { memtableBytes } = yield* storage.stats
    assert.isAtLeast(memtableBytes, 12_000, "the one being flushed and twice its size")
    assert.isBelow(memtableBytes, 13_000)
    assert.isBelow(done, 100)
    yield* latch.open
    yield* Effect.sleep("1 minute")
    yield* Fiber.join(writer)
  })
})

describe("scan", () => {
  uncached("shows the store as it was at its start, despite writes and compactions", function*({ memory, storage }) {
    const cells = numbered(2000)
    for (let part = 0; part < 3; part++) yield* writeTable(storage, ...cells.slice(part * 600, part * 600 + 600))
    yield* storage.apply(cells.slice(1800))
    let seen = 0
    yield* Stream.runForEach(storage.scan(), (one) =>
      Effect.gen(function*() {
        assertCell(one, cells[seen])
        seen++
        if (seen !== 10) return
        yield* writeTable(storage, ...cells.map((old) => ({ ...old, version: version(9000) })))
        yield* until(Effect.map(storage.stats, ({ tables }) => tables === 1))
        assert.isAbove(pathsOf(memory, ".sst").length, 1, "the scan holds its tables")
      }))
    assert.strictEqual(seen, 2000)
    yield* until(Effect.sync(() => pathsOf(memory, ".sst").length === 1))
  })

  for (const tombstones of [true, false]) {
    withStore(
      `lets others have a turn every 512 cells, ${tombstones ? "given out" : "passed over"}`,
      function*({ storage }) {
        yield* storage.apply(numbered(6000).map((one) => ({ ...one, value: tombstones ? one.value : undefined })))
        let turns = 0
        const others = yield* Effect.forkChild(Effect.forever(Effect.sync(() => turns++)))
        yield* collect(storage, { tombstones })
        yield* Fiber.interrupt(others)
        assert.isAtLeast(turns, Math.floor(6000 / 512))
      }
    )
  }

  withStore("releases its tables when it ends early", function*({ memory, storage }) {
    yield* writeTable(storage, ...numbered(1000))
    const some = yield* storage.scan().pipe(Stream.take(5), Stream.runCollect)
    assert.strictEqual(some.length, 5)
    for (let round = 0; round < 3; round++) yield* writeTable(storage, cell("k0001", 5000 + round))
    yield* until(Effect.map(storage.stats, ({ tables }) => tables === 1))
    yield* until(Effect.sync(() => pathsOf(memory, ".sst").length === 1))
  })
})

describe("layers", () => {
  it.effect("layerMemory is the engine over files in memory", () =>
    Effect.gen(function*() {
      const storage = yield* Storage
      yield* writeTable(storage, cell("a", 1))
      assertCell(yield* storage.get(key("a")), cell("a", 1))
    }).pipe(Effect.provide(Storage.layerMemory.pipe(Layer.provide(NodeConfig.layerTest())))))
})
