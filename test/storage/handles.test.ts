import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import { inVirtualTime } from "../inVirtualTime.ts"
import { assertCell, cell, key, open, writeTable } from "./store.ts"

/** A disk that counts the files that are open for reading. */
const counting = () => {
  const memory = DiskMemory.make(1)
  let count = 0
  const openRead: typeof memory.disk.openRead = (path) =>
    Effect.map(memory.disk.openRead(path), (handle) => {
      count++
      let isOpen = true
      const close = Effect.sync(() => {
        if (isOpen) count--
        isOpen = false
      })
      return { ...handle, close }
    })
  return { memory, disk: { ...memory.disk, openRead }, openFiles: () => count }
}

/** Two tables, and something to flush when that is what the test does. */
const prepared = Effect.fnUntraced(function*(work: "flush" | "compact") {
  const { disk, memory, openFiles } = counting()
  const { close, storage } = yield* open({ disk })
  yield* writeTable(storage, cell("a", 1))
  yield* writeTable(storage, cell("a", 2))
  if (work === "flush") yield* storage.apply([cell("a", 3)])
  return { memory, openFiles, close, storage }
})

describe("a store that closes leaves no file open", () => {
  for (const work of ["flush", "compact"] as const) {
    inVirtualTime(`while the manifest of a ${work} cannot be written`, function*() {
      const { close, memory, openFiles, storage } = yield* prepared(work)
      for (let failure = 0; failure < 100; failure++) memory.failNext("rename", "MANIFEST")
      yield* Effect.flip(storage[work])
      yield* Effect.sleep("10 seconds")
      assert.strictEqual(openFiles(), 3)
      yield* close
      assert.strictEqual(openFiles(), 0)
    })

    inVirtualTime(`at any step of a ${work}`, function*() {
      for (let millis = 1; millis < 60; millis += 2) {
        const { close, memory, openFiles, storage } = yield* prepared(work)
        memory.setLatency(() => Effect.sleep("2 millis"))
        yield* Effect.forkChild(Effect.ignore(storage[work]))
        yield* Effect.sleep(millis)
        yield* close
        assert.strictEqual(openFiles(), 0, `after ${millis} ms`)
      }
    })
  }

  inVirtualTime("once a view is closed that holds tables which were replaced", function*() {
    const { close, openFiles, storage } = yield* prepared("compact")
    yield* Effect.scoped(Effect.gen(function*() {
      const view = yield* storage.view
      yield* storage.compact
      yield* close
      assert.strictEqual(openFiles(), 2)
      assertCell(yield* view.get(key("a")), cell("a", 2))
    }))
    assert.strictEqual(openFiles(), 0)
  })
})
