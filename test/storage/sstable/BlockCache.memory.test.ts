import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as v8 from "node:v8"
import * as vm from "node:vm"
import * as BlockCache from "../../../src/storage/sstable/BlockCache.ts"

v8.setFlagsFromString("--expose-gc")
const collectGarbage = vm.runInNewContext("gc") as () => void

const blocksPerTable = 60
const blockBytes = 4000
/** The slab that is being filled stays, with the blocks that are in it. */
const staysMax = Math.ceil(128 * 1024 / blockBytes)

/** What a job has looked at through a weak reference stays until the job ends. */
const afterThisJob = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

/** Puts the blocks of a table into the cache, and refers to the cache's own. */
const fill = (cache: BlockCache.BlockCache, slots: BlockCache.BlockSlots) =>
  Array.from({ length: blocksPerTable }, (_, index) => {
    cache.put(slots, index, new Uint8Array(blockBytes))
    return new WeakRef(slots[index]!)
  })

const assertGone = Effect.fnUntraced(function*(cache: BlockCache.BlockCache, refs: ReadonlyArray<WeakRef<object>>) {
  yield* afterThisJob
  collectGarbage()
  assert.isAtMost(refs.filter((ref) => ref.deref() !== undefined).length, staysMax)
  assert.strictEqual(cache.sizeBytes(), 0)
  assert.isAtMost(cache.heldBytes(), 128 * 1024)
})

describe("memory of the block cache", () => {
  it.effect("is free when the tables are gone", () =>
    Effect.gen(function*() {
      const cache = BlockCache.make(1_000_000_000)
      const refs = Array.from({ length: 3 }, () => {
        const slots: BlockCache.BlockSlots = []
        const some = fill(cache, slots)
        cache.drop(slots)
        return some
      })
      yield* assertGone(cache, refs.flat())
    }))

  it.effect("is free when nobody has used the blocks for a minute, also of tables that grew meanwhile", () =>
    Effect.gen(function*() {
      const cache = BlockCache.make(1_000_000_000)
      const refs: Array<WeakRef<object>> = []
      for (let second = 0; second < 90; second++) {
        if (second % 10 === 0 && second < 30) refs.push(...fill(cache, []))
        cache.age()
      }
      yield* assertGone(cache, refs)
    }))
})
