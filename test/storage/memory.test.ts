import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as v8 from "node:v8"
import * as vm from "node:vm"
import type { Storage } from "../../src/storage/Storage.ts"
import { cell, key, stage } from "./store.ts"

v8.setFlagsFromString("--expose-gc")
const collectGarbage = vm.runInNewContext("gc") as () => void

/** In a function of its own, whose frame is gone when garbage is collected. */
const refer = Effect.fnUntraced(function*(storage: Storage["Service"], name: string) {
  return new WeakRef((yield* storage.get(key(name)))!)
})

/** A job keeps the target of a weak reference that it has read until it ends. */
const afterThisJob = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

describe("memory", () => {
  it.effect("that a cursor read into is given back when it closes, though its view stays open", () =>
    Effect.gen(function*() {
      const { storage } = yield* stage({ blockCacheBytesMax: 0 })
      yield* storage.apply([cell("a", 1)])
      yield* storage.flush
      const view = yield* storage.view
      const before = process.memoryUsage().arrayBuffers
      for (let index = 0; index < 1000; index++) {
        const cursor = yield* view.cursor()
        assert.strictEqual((yield* cursor.next(1)).length, 1)
        yield* cursor.close
        yield* cursor.close
      }
      assert.isBelow(process.memoryUsage().arrayBuffers - before, 16 * 1024 * 1024)
    }))

  it.effect("holds no flushed cells, recovered or written", () =>
    Effect.gen(function*() {
      const before = yield* stage()
      yield* before.storage.apply([cell("recovered", 1)])
      const storage = yield* before.restart
      const recovered = yield* refer(storage, "recovered")
      yield* storage.flush
      yield* storage.apply([cell("written", 2)])
      const written = yield* refer(storage, "written")
      yield* storage.flush
      yield* afterThisJob
      collectGarbage()
      assert.isUndefined(recovered.deref())
      assert.isUndefined(written.deref())
    }))
})
