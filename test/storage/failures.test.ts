import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import { assertCell, cell, crash, driven, key, open, openScoped, until, version } from "./store.ts"

const logsOf = (memory: DiskMemory.DiskMemory) =>
  Array.from(memory.files().keys()).filter((path) => path.includes("wal-"))

/** The disk, of which the next write to a file whose path contains `armed` is a defect. */
const defective = (memory: DiskMemory.DiskMemory) => {
  const fault: { armed: string | undefined } = { armed: undefined }
  const openAppend: typeof memory.disk.openAppend = (path) =>
    Effect.map(memory.disk.openAppend(path), (handle) => ({
      ...handle,
      append: (bytes) => {
        if (fault.armed === undefined || !path.includes(fault.armed)) return handle.append(bytes)
        fault.armed = undefined
        return Effect.die(new Error("a defect"))
      }
    }))
  return { fault, memory: { ...memory, disk: { ...memory.disk, openAppend } } }
}

describe("a defect", () => {
  it.effect("of the writer fails the round that met it, and later writes are taken after a second", () =>
    Effect.gen(function*() {
      const { fault, memory } = defective(DiskMemory.make(1))
      const storage = yield* openScoped(memory)
      yield* storage.apply([cell("a", 1)])
      fault.armed = "wal-"
      assert.isTrue(Exit.hasDies(yield* Effect.exit(storage.apply([cell("b", 2)]))))
      yield* driven(storage.apply([cell("c", 3)]))
      assertCell(yield* storage.get(key("c")), cell("c", 3))
    }))

  it.effect("of the flusher or the compactor ends neither", () =>
    Effect.gen(function*() {
      const { fault, memory } = defective(DiskMemory.make(1))
      const storage = yield* openScoped(memory)
      for (const counter of [1, 2, 3]) {
        fault.armed = ".sst"
        yield* storage.apply([cell("a", counter)])
        yield* driven(storage.flush)
        assert.isUndefined(fault.armed)
      }
      yield* storage.apply([cell("a", 4)])
      yield* storage.flush
      fault.armed = ".sst"
      yield* driven(until(Effect.map(storage.stats, ({ tables }) => tables === 1)))
      assert.isUndefined(fault.armed)
      assertCell(yield* storage.get(key("a")), cell("a", 4))
    }))
})

describe("a full disk", () => {
  it.effect("refuses writes, serves reads, and takes writes again when space returns", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const opened = yield* open(memory)
      const { storage } = opened
      yield* storage.apply([cell("a", 1)])
      memory.setFull(true)
      for (let attempt = 0; attempt < 5; attempt++) {
        assert.strictEqual((yield* Effect.flip(storage.apply([cell("b", 2)])))._tag, "DiskFull")
      }
      assert.isUndefined(yield* storage.get(key("b")), "a refused cell is not visible")
      assertCell(yield* storage.get(key("a")), cell("a", 1))
      assert.strictEqual((yield* storage.stats).refusing?._tag, "DiskFull")
      assert.strictEqual(logsOf(memory).length, 1, "attempts leave no files behind")
      memory.setFull(false)
      yield* storage.apply([cell("b", 3)])
      assert.isUndefined((yield* storage.stats).refusing)
      yield* crash(memory, opened)
      const reopened = yield* openScoped(memory)
      assertCell(yield* reopened.get(key("a")), cell("a", 1))
      assertCell(yield* reopened.get(key("b")), cell("b", 3))
    }))

  it.effect("finds out by itself that space has returned, without a write", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory)
      memory.setFull(true)
      yield* Effect.flip(storage.apply([cell("a", 1)]))
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* storage.stats).refusing?._tag, "DiskFull")
      memory.setFull(false)
      yield* TestClock.adjust("1 seconds")
      yield* until(Effect.map(storage.stats, ({ refusing }) => refusing === undefined))
    }))

  it.effect("still answers what needs no space: superseded cells and retries", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory)
      yield* storage.apply([cell("a", 5)])
      memory.setFull(true)
      const [superseded, retried, refused] = yield* Effect.all([
        storage.apply([cell("a", 4)]),
        storage.apply([cell("a", 5)]),
        Effect.flip(storage.apply([cell("b", 6)]))
      ], { concurrency: "unbounded" })
      assert.deepStrictEqual(superseded, [{ _tag: "Superseded", newest: version(5) }])
      assert.deepStrictEqual(retried, [{ _tag: "Accepted", replaced: false }])
      assert.strictEqual(refused._tag, "DiskFull")
    }))

  it.effect("refuses writes when memory is full of cells that no table can take, and flushes when space returns", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory, { memtableBytesMax: 2000 })
      const failing = Effect.sync(() => memory.failNext("openAppend", ".sst", "full"))
      yield* Effect.replicateEffect(failing, 50)
      const filling = Effect.gen(function*() {
        for (let index = 0; index < 100; index++) yield* storage.apply([cell(`k${index}`, index + 1)])
      })
      assert.strictEqual((yield* driven(Effect.flip(filling)))._tag, "DiskFull")
      const blocked = yield* storage.stats
      assert.strictEqual(blocked.refusing?._tag, "DiskFull")
      assertCell(yield* storage.get(key("k0")), cell("k0", 1))
      yield* TestClock.adjust("1 minute")
      yield* until(Effect.map(storage.stats, ({ flushes }) => flushes >= 1))
      yield* driven(storage.apply([cell("again", 1000)]))
      assert.isUndefined((yield* storage.stats).refusing)
    }))
})

describe("I/O errors", () => {
  it.effect("a failed sync loses the round but no more: nothing of it is visible, the next goes to a new log", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const opened = yield* open(memory)
      const { storage } = opened
      yield* storage.apply([cell("a", 1)])
      memory.failNext("sync", "wal-")
      assert.deepInclude(yield* Effect.flip(storage.apply([cell("a", 2), cell("b", 2)])), {
        _tag: "DiskError",
        code: "EIO"
      })
      assertCell(yield* storage.get(key("a")), cell("a", 1))
      assert.isUndefined(yield* storage.get(key("b")))
      const [brokenLog] = logsOf(memory)
      const brokenBytes = memory.files().get(brokenLog!)!.length
      yield* storage.apply([cell("b", 3)])
      assert.strictEqual(memory.files().get(brokenLog!)!.length, brokenBytes, "the broken log takes nothing more")
      assert.strictEqual(logsOf(memory).length, 2)
      yield* crash(memory, opened)
      const reopened = yield* openScoped(memory)
      assert.isAtLeast((yield* reopened.version(key("a")))!.counter, 1)
      assertCell(yield* reopened.get(key("b")), cell("b", 3))
    }))

  it.effect("what a failed round wanted to store supersedes nothing afterwards", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory)
      yield* storage.apply([cell("a", 1)])
      memory.failNext("sync", "wal-")
      yield* Effect.flip(storage.apply([cell("a", 9), cell("b", 9), cell("b", 10)]))
      assert.strictEqual((yield* storage.stats).memtableCells, 1)
      assert.deepStrictEqual(yield* storage.apply([cell("a", 2), cell("b", 2)]), [
        { _tag: "Accepted", replaced: true },
        { _tag: "Accepted", replaced: false }
      ])
      yield* storage.flush
      assertCell(yield* storage.get(key("a")), cell("a", 2))
      assertCell(yield* storage.get(key("b")), cell("b", 2))
    }))

  it.effect("a log that never took a cell is removed when its sync fails", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory)
      for (let attempt = 0; attempt < 4; attempt++) {
        memory.failNext("sync", "wal-")
        yield* Effect.flip(storage.apply([cell("a", 1)]))
      }
      yield* storage.apply([cell("a", 2)])
      assert.strictEqual(logsOf(memory).length, 1)
    }))

  it.effect("a half-written append is taken back, and the log stays in use", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const opened = yield* open(memory)
      const { storage } = opened
      yield* storage.apply([cell("a", 1)])
      memory.failNext("append", "wal-")
      assert.strictEqual((yield* Effect.flip(storage.apply([cell("b", 2)])))._tag, "DiskError")
      yield* storage.apply([cell("c", 3)])
      assert.strictEqual(logsOf(memory).length, 1)
      yield* crash(memory, opened)
      const reopened = yield* openScoped(memory)
      assertCell(yield* reopened.get(key("a")), cell("a", 1))
      assert.isUndefined(yield* reopened.get(key("b")))
      assertCell(yield* reopened.get(key("c")), cell("c", 3))
    }))

  it.effect("a half-written append that cannot be taken back ends the log", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const opened = yield* open(memory)
      const { storage } = opened
      yield* storage.apply([cell("a", 1)])
      memory.failNext("append", "wal-")
      memory.failNext("truncate", "wal-")
      yield* Effect.flip(storage.apply([cell("b", 2)]))
      yield* storage.apply([cell("c", 3)])
      assert.strictEqual(logsOf(memory).length, 2)
      yield* crash(memory, opened)
      const reopened = yield* openScoped(memory)
      assertCell(yield* reopened.get(key("a")), cell("a", 1))
      assertCell(yield* reopened.get(key("c")), cell("c", 3))
    }))

  for (
    const [operation, path] of [
      ["openAppend", ".sst"],
      ["append", ".sst"],
      ["sync", ".sst"],
      ["append", ".idx"],
      ["sync", ".idx"],
      ["syncDirectory", "data"],
      ["append", "MANIFEST"],
      ["sync", "MANIFEST"],
      ["rename", "MANIFEST"],
      ["readFile", ".idx"]
    ] as const
  ) {
    it.effect(`a flush whose ${operation} of ${path} fails says so, is tried again, and loses nothing`, () =>
      Effect.gen(function*() {
        const memory = DiskMemory.make(1)
        const opened = yield* open(memory)
        const { storage } = opened
        yield* storage.apply([cell("a", 1)])
        memory.failNext(operation, path)
        assert.strictEqual((yield* Effect.flip(storage.flush))._tag, "DiskError")
        assertCell(yield* storage.get(key("a")), cell("a", 1))
        yield* storage.apply([cell("b", 2)])
        yield* TestClock.adjust("1 seconds")
        yield* until(Effect.map(storage.stats, ({ tables }) => tables === 1))
        assertCell(yield* storage.get(key("a")), cell("a", 1))
        yield* crash(memory, opened)
        const reopened = yield* openScoped(memory)
        assertCell(yield* reopened.get(key("a")), cell("a", 1))
        assertCell(yield* reopened.get(key("b")), cell("b", 2))
      }))
  }

  it.effect("a failed compaction changes nothing and is tried again", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory)
      for (let counter = 1; counter <= 4; counter++) {
        if (counter === 4) memory.failNext("append", "000009.sst")
        yield* storage.apply([cell("a", counter)])
        yield* storage.flush
      }
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual((yield* storage.stats).tables, 4)
      assertCell(yield* storage.get(key("a")), cell("a", 4))
      yield* TestClock.adjust("1 seconds")
      yield* until(Effect.map(storage.stats, ({ tables }) => tables === 1))
      assertCell(yield* storage.get(key("a")), cell("a", 4))
    }))

  it.effect("a compaction whose manifest cannot be written keeps old and new tables until it can", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const opened = yield* open(memory)
      const { storage } = opened
      for (let counter = 1; counter <= 4; counter++) {
        yield* storage.apply([cell(`k${counter}`, counter), cell("z", counter)])
        if (counter < 4) yield* storage.flush
      }
      yield* memory.syncs.close
      const flushing = yield* Effect.forkChild(storage.flush)
      yield* memory.syncs.open
      yield* Fiber.join(flushing)
      memory.failNext("syncDirectory", "data")
      memory.failNext("rename", "MANIFEST")
      yield* until(Effect.sync(() => memory.files().has("data/000009.idx")))
      yield* TestClock.adjust("1 minute")
      yield* until(Effect.map(storage.stats, ({ tables }) => tables === 1))
      yield* crash(memory, opened)
      const reopened = yield* openScoped(memory)
      for (let counter = 1; counter <= 4; counter++) {
        assertCell(yield* reopened.get(key(`k${counter}`)), cell(`k${counter}`, counter))
      }
    }))

  it.effect("a call of which one cell cannot be decided changes nothing", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory)
      yield* storage.apply([cell("a", 1), cell("b", 1)])
      yield* storage.flush
      memory.failNext("read", ".sst")
      const [failed, other] = yield* Effect.all([
        Effect.exit(storage.apply([cell("new", 2), cell("a", 2), cell("b", 2)])),
        storage.apply([cell("else", 3)])
      ], { concurrency: "unbounded" })
      assert.isTrue(Exit.isFailure(failed))
      assert.deepStrictEqual(other, [{ _tag: "Accepted", replaced: false }])
      for (const [name, expected] of [["new", undefined], ["a", cell("a", 1)], ["b", cell("b", 1)]] as const) {
        assertCell(yield* storage.get(key(name)), expected)
      }
      assertCell(yield* storage.get(key("else")), cell("else", 3))
    }))

  it.effect("a read that fails is an error of that read alone", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScoped(memory)
      yield* storage.apply([cell("a", 1)])
      yield* storage.flush
      memory.failNext("read", ".sst")
      assert.strictEqual((yield* Effect.flip(storage.get(key("a"))))._tag, "DiskError")
      assertCell(yield* storage.get(key("a")), cell("a", 1))
    }))
})
