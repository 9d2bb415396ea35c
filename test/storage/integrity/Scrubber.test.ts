import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as DiskMemory from "../../../src/disk/DiskMemory.ts"
import * as Engine from "../../../src/storage/Engine.ts"
import type { Storage } from "../../../src/storage/Storage.ts"
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

/** Lets time pass in small steps, in each of which whatever is due happens. */
const pass = Effect.fnUntraced(function*(seconds: number) {
  for (let step = 0; step < seconds * 4; step++) {
    yield* TestClock.adjust("250 millis")
    for (let turn = 0; turn < 20; turn++) yield* Effect.yieldNow
  }
})

const scrubOf = (storage: Storage["Service"]) => Effect.map(storage.stats, ({ scrub }) => scrub)

const tablesOf = (memory: DiskMemory.DiskMemory) =>
  Array.from(memory.files().keys()).filter((path) => path.endsWith(".sst"))

describe("the scrub", () => {
  it.effect("reads the whole store once, no faster than it may, and again after a day", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const rate = 8 * kibibyte
      const storage = yield* openScrubbed(memory, rate)
      yield* fill(storage, 3)
      const { tableBytes } = yield* storage.stats
      yield* pass(59)
      assert.deepInclude(yield* scrubOf(storage), { running: false, bytesDone: 0, passes: 0 })
      yield* pass(5)
      const early = yield* scrubOf(storage)
      assert.isTrue(early.running)
      assert.strictEqual(early.bytesTotal, tableBytes)
      assert.isAtMost(early.bytesDone, 6 * rate)
      assert.isAtLeast(early.bytesDone, 2 * rate)
      yield* pass(60)
      const done = yield* scrubOf(storage)
      assert.isAtLeast(done.bytesDone, 0.95 * tableBytes)
      assert.deepInclude(done, { running: false, passes: 1, damaged: 0 })
      const [least, most] = [60_000 + tableBytes * 1000 / rate, 60_000 + tableBytes * 1200 / rate]
      assert.isTrue(done.lastPassEndedAtMillis! >= least && done.lastPassEndedAtMillis! <= most)
      yield* TestClock.adjust("23 hours")
      assert.strictEqual((yield* scrubOf(storage)).passes, 1)
      yield* TestClock.adjust("1 hour")
      yield* pass(60)
      assert.strictEqual((yield* scrubOf(storage)).passes, 2)
    }).pipe(Effect.scoped))

  it.effect("finds what decayed, also behind the cache, and the store does without it from then on", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScrubbed(memory, 64 * kibibyte)
      yield* fill(storage, 3)
      yield* collect(storage)
      const [first, second] = tablesOf(memory)
      memory.damage(first!, 10_000)
      memory.damage(second!, 30_000)
      yield* pass(70)
      const { holes, scrub } = yield* storage.stats
      assert.deepStrictEqual(holes.map(({ file }) => file), [first, second])
      assert.deepInclude(scrub, { damaged: 2, passes: 1 })
    }).pipe(Effect.scoped))

  it.effect("repairs an index from memory", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScrubbed(memory, 1024 * kibibyte)
      yield* fill(storage, 1)
      const path = tablesOf(memory)[0]!.replace(".sst", ".idx")
      const before = memory.files().get(path)!
      memory.damage(path, 100)
      yield* pass(62)
      assert.deepStrictEqual(memory.files().get(path), before)
      assert.strictEqual((yield* scrubOf(storage)).damaged, 1)
    }).pipe(Effect.scoped))

  it.effect("passes over tables that compaction takes away, holds none of them, and ends", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScrubbed(memory, 4 * kibibyte)
      yield* fill(storage, 4)
      yield* pass(63)
      assert.isTrue((yield* scrubOf(storage)).running)
      yield* storage.compact
      yield* pass(5)
      const { bytesDone, bytesTotal, passes, running } = yield* scrubOf(storage)
      assert.deepStrictEqual([running, passes], [false, 1])
      assert.isBelow(bytesDone, bytesTotal / 2)
      yield* until(Effect.sync(() => tablesOf(memory).length === 1))
    }).pipe(Effect.scoped))

  it.effect("is off unless it is asked for", () =>
    Effect.gen(function*() {
      const memory = DiskMemory.make(1)
      const storage = yield* openScrubbed(memory, 0)
      yield* fill(storage, 1)
      const reads = memory.count("read")
      yield* pass(65)
      assert.strictEqual(memory.count("read"), reads)
      assert.deepInclude(yield* scrubOf(storage), { bytesPerSecond: 0, passes: 0, lastPassEndedAtMillis: undefined })
    }).pipe(Effect.scoped))
})
