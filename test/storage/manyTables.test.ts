import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type { Disk } from "../../src/disk/Disk.ts"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import * as Engine from "../../src/storage/Engine.ts"
import { assertCell, cell, directory, driven, key } from "./store.ts"

const openFilesMax = 4

/** A disk that counts the files that are open for reading, and remembers how many these were at most. */
const counting = () => {
  const { disk } = DiskMemory.make(1)
  const counted = { open: 0, most: 0, opened: 0 }
  const openRead: Disk["Service"]["openRead"] = (path) =>
    Effect.map(disk.openRead(path), (handle) => {
      let isOpen = true
      counted.most = Math.max(counted.most, ++counted.open)
      counted.opened++
      return {
        ...handle,
        close: Effect.suspend(() => {
          if (isOpen) counted.open--
          isOpen = false
          return handle.close
        })
      }
    })
  return { counted, disk: { ...disk, openRead } }
}

const opened = (disk: Disk["Service"], level0Tables: number) =>
  Engine.open(disk, {
    directory,
    fsync: "never",
    memtableBytesMax: 1024 * 1024,
    blockCacheBytesMax: 0,
    level0Tables,
    openFilesMax
  })

const names = Array.from({ length: 30 }, (_, index) => `k${index}`)

/** A table for each name. */
const fill = Effect.fnUntraced(function*(storage: Effect.Success<ReturnType<typeof opened>>) {
  for (const [index, name] of names.entries()) {
    yield* storage.apply([cell(name, index + 1), cell("in all", index + 1)])
    yield* storage.flush
  }
})

describe("a store of more tables than it may hold open", () => {
  it.effect("answers for every key, and holds no more files open than that", () =>
    driven(Effect.gen(function*() {
      const { counted, disk } = counting()
      yield* Effect.scoped(Effect.gen(function*() {
        const storage = yield* opened(disk, 1000)
        yield* fill(storage)
        assert.strictEqual((yield* storage.stats).tables, names.length)
        for (const [index, name] of names.entries()) assertCell(yield* storage.get(key(name)), cell(name, index + 1))
        assertCell(yield* storage.get(key("in all")), cell("in all", names.length))
        // The one more is opened before another is closed.
        assert.isAtMost(counted.most, openFilesMax + 1)
        assert.isAbove(counted.opened, 2 * names.length - openFilesMax)
      }))
      assert.strictEqual(counted.open, 0)
    })))

  it.effect("leaves none open that was being opened or read by a fiber that is interrupted", () =>
    driven(Effect.gen(function*() {
      const { counted, disk } = counting()
      yield* Effect.scoped(Effect.gen(function*() {
        const storage = yield* opened(disk, 1000)
        yield* fill(storage)
        for (let turns = 0; turns < 12; turns++) {
          const reads = yield* Effect.forEach(names, (name) => Effect.forkChild(storage.get(key(name))))
          for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
          yield* Fiber.interruptAll(reads)
          assert.isAtMost(counted.open, openFilesMax)
        }
        for (const [index, name] of names.entries()) assertCell(yield* storage.get(key(name)), cell(name, index + 1))
      }))
      assert.strictEqual(counted.open, 0)
    })))

  it.effect("compacts them while they are read, and opens what it wrote at the next start", () =>
    driven(Effect.gen(function*() {
      const { counted, disk } = counting()
      yield* Effect.scoped(Effect.gen(function*() {
        const storage = yield* opened(disk, 1000)
        yield* fill(storage)
        const compacting = yield* Effect.forkChild(storage.compact)
        for (const [index, name] of names.entries()) assertCell(yield* storage.get(key(name)), cell(name, index + 1))
        yield* Fiber.join(compacting)
        assert.strictEqual((yield* storage.stats).tables, 1)
        assert.strictEqual(counted.open, 1)
      }))
      yield* Effect.scoped(Effect.gen(function*() {
        const storage = yield* opened(disk, 1000)
        for (const [index, name] of names.entries()) assertCell(yield* storage.get(key(name)), cell(name, index + 1))
      }))
      assert.strictEqual(counted.open, 0)
    })))
})
