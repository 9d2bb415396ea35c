import { assert, describe } from "@effect/vitest"
import { Clock, Effect } from "effect"
import type { Storage } from "../../../src/storage/Storage.ts"
import { collect, numbered, pathsOf, until, withSettings, writeTable } from "../store.ts"

const kibibyte = 1024

const scrubbed = (kibibytesPerSecond: number) => withSettings({ scrubBytesPerSecond: kibibytesPerSecond * kibibyte })

/** Tables of about 40 KiB. */
const fill = Effect.fnUntraced(function*(storage: Storage["Service"], tables: number) {
  for (let table = 0; table < tables; table++) yield* writeTable(storage, ...numbered(100, 300, table * 100))
})

const scrubOf = (storage: Storage["Service"]) => Effect.map(storage.stats, ({ scrub }) => scrub)

describe("the scrub", () => {
  scrubbed(8)("reads the whole store once, within its byte rate, and again after a day", function*({ storage }) {
    const rate = 8 * kibibyte
    const beganAtMillis = yield* Clock.currentTimeMillis
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
    yield* Effect.sleep("61 minutes")
    assert.strictEqual((yield* scrubOf(storage)).passes, 2)
  })

  scrubbed(64)(
    "does not count a pass over an empty store, and reads it soon after it is filled",
    function*({ storage }) {
      yield* Effect.sleep("10 minutes")
      assert.strictEqual((yield* scrubOf(storage)).passes, 0)
      yield* fill(storage, 1)
      yield* Effect.sleep("3 minutes")
      assert.strictEqual((yield* scrubOf(storage)).passes, 1)
    }
  )

  scrubbed(64)(
    "finds damage on the disk though the blocks are cached, and makes holes of it",
    function*({ memory, storage }) {
      yield* fill(storage, 3)
      yield* collect(storage)
      const [first, second] = pathsOf(memory, ".sst")
      memory.damage(first!, 10_000)
      memory.damage(second!, 30_000)
      yield* Effect.sleep("70 seconds")
      const { holes, scrub } = yield* storage.stats
      assert.deepStrictEqual(holes.map(({ file }) => file), [first, second])
      assert.deepInclude(scrub, { damaged: 2, passes: 1 })
    }
  )

  scrubbed(1024)("repairs an index from memory", function*({ memory, storage }) {
    yield* fill(storage, 1)
    const path = pathsOf(memory, ".sst")[0]!.replace(".sst", ".idx")
    const before = memory.files().get(path)!
    memory.damage(path, 100)
    yield* Effect.sleep("62 seconds")
    assert.deepStrictEqual(memory.files().get(path), before)
    assert.strictEqual((yield* scrubOf(storage)).damaged, 1)
  })

  scrubbed(4)("skips tables that a compaction removes, and ends", function*({ memory, storage }) {
    yield* fill(storage, 4)
    yield* Effect.sleep("63 seconds")
    assert.isTrue((yield* scrubOf(storage)).running)
    yield* storage.compact
    yield* Effect.sleep("5 seconds")
    const { bytesDone, bytesTotal, passes, running } = yield* scrubOf(storage)
    assert.deepStrictEqual([running, passes], [false, 1])
    assert.isBelow(bytesDone, bytesTotal / 2)
    yield* until(Effect.sync(() => pathsOf(memory, ".sst").length === 1))
  })

  scrubbed(0)("is off unless it is asked for", function*({ memory, storage }) {
    yield* fill(storage, 1)
    const reads = memory.count("read")
    yield* Effect.sleep("65 seconds")
    assert.strictEqual(memory.count("read"), reads)
    assert.deepInclude(yield* scrubOf(storage), { bytesPerSecond: 0, passes: 0, lastPassEndedAtMillis: undefined })
  })
})
