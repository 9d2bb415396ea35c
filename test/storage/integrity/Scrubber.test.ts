import { assert, describe } from "@effect/vitest"
import { Clock, Effect } from "effect"
import * as DiskMemory from "../../../src/disk/DiskMemory.ts"
import * as Engine from "../../../src/storage/Engine.ts"
import type { Storage } from "../../../src/storage/Storage.ts"
import { inVirtualTime } from "../../inVirtualTime.ts"
import { cell, collect, directory, until } from "../store.ts"

const kibibyte = 1024

const openScrubbed = (memory: DiskMemory.DiskMemory, scrubBytesPerSecond: number) =>
  Engine.open(memory.disk, {
    directory,
    fsync: "always",
    memtableBytesMax: 1024 * kibibyte,
    blockCacheBytesMax: 1024 * kibibyte,
    scrubBytesPerSecond
  })

/** Tables of about 40 KiB. */
const fill = Effect.fnUntraced(function*(storage: Storage["Service"], tables: number) {
  for (let table = 0; table < tables; table++) {
    yield* storage.apply(
      Array.from({ length: 100 }, (_, index) => cell(`k${table}${index}`, index + 1, "x".repeat(300)))
    )
    yield* storage.flush
  }
})

const scrubOf = (storage: Storage["Service"]) => Effect.map(storage.stats, ({ scrub }) => scrub)

const tablesOf = (memory: DiskMemory.DiskMemory) =>
  Array.from(memory.files().keys()).filter((path) => path.endsWith(".sst"))

describe("the scrub", () => {
  inVirtualTime(
    "reads the whole store once, no faster than it may, and again after a day",
    () =>
      Effect.gen(function*() {
        const memory = DiskMemory.make(1)
        const rate = 8 * kibibyte
        const beganAtMillis = yield* Clock.currentTimeMillis
        const storage = yield* openScrubbed(memory, rate)
        yield* fill(storage, 3)
        const { tableBytes } = yield* storage.stats
        yield* Effect.sleep("59 seconds")
        assert.deepInclude(yield* scrubOf(storage), { running: false, bytesDone: 0, passes: 0 })
        yield* Effect.sleep("5 seconds")
        const early = yield* scrubOf(storage)
        assert.isTrue(early.running)
        assert.strictEqual(early.bytesTotal, tableBytes)
        assert.isAtMost(early.bytesDone, 6 * rate)
        assert.isAtLeast(early.bytesDone, 2 * rate)
        yield* Effect.sleep("60 seconds")
        const done = yield* scrubOf(storage)
        assert.isAtLeast(done.bytesDone, 0.95 * tableBytes)
        assert.deepInclude(done, { running: false, passes: 1, damaged: 0 })
        const [least, most] = [60_000 + tableBytes * 1000 / rate, 60_000 + tableBytes * 1200 / rate]
        const tookMillis = done.lastPassEndedAtMillis! - beganAtMillis
        assert.isTrue(tookMillis >= least && tookMillis <= most)
        yield* Effect.sleep("23 hours")
        assert.strictEqual((yield* scrubOf(storage)).passes, 1)
        yield* Effect.sleep("1 hour")
        yield* Effect.sleep("60 seconds")
        assert.strictEqual((yield* scrubOf(storage)).passes, 2)
      })
  )

  inVirtualTime(
    "finds what decayed, also behind the cache, and the store does without it from then on",
    () =>
      Effect.gen(function*() {
        const memory = DiskMemory.make(1)
        const storage = yield* openScrubbed(memory, 64 * kibibyte)
        yield* fill(storage, 3)
        yield* collect(storage)
        const [first, second] = tablesOf(memory)
        memory.damage(first!, 10_000)
        memory.damage(second!, 30_000)
        yield* Effect.sleep("70 seconds")
        const { holes, scrub } = yield* storage.stats
        assert.deepStrictEqual(holes.map(({ file }) => file), [first, second])
        assert.deepInclude(scrub, { damaged: 2, passes: 1 })
      })
  )

  inVirtualTime("repairs an index from memory", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScrubbed(memory, 1024 * kibibyte)
      yield* fill(storage, 1)
      const path = tablesOf(memory)[0]!.replace(".sst", ".idx")
      const before = memory.files().get(path)!
      memory.damage(path, 100)
      yield* Effect.sleep("62 seconds")
      assert.deepStrictEqual(memory.files().get(path), before)
      assert.strictEqual((yield* scrubOf(storage)).damaged, 1)
    }))

  inVirtualTime(
    "passes over tables that compaction takes away, holds none of them, and ends",
    () =>
      Effect.gen(function*() {
        const memory = DiskMemory.make(1)
        const storage = yield* openScrubbed(memory, 4 * kibibyte)
        yield* fill(storage, 4)
        yield* Effect.sleep("63 seconds")
        assert.isTrue((yield* scrubOf(storage)).running)
        yield* storage.compact
        yield* Effect.sleep("5 seconds")
        const { bytesDone, bytesTotal, passes, running } = yield* scrubOf(storage)
        assert.deepStrictEqual([running, passes], [false, 1])
        assert.isBelow(bytesDone, bytesTotal / 2)
        yield* until(Effect.sync(() => tablesOf(memory).length === 1))
      })
  )

  inVirtualTime("is off unless it is asked for", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScrubbed(memory, 0)
      yield* fill(storage, 1)
      const reads = memory.count("read")
      yield* Effect.sleep("65 seconds")
      assert.strictEqual(memory.count("read"), reads)
      assert.deepInclude(yield* scrubOf(storage), { bytesPerSecond: 0, passes: 0, lastPassEndedAtMillis: undefined })
    }))
})
