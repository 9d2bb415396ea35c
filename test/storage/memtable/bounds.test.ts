import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Memtable from "../../../src/storage/memtable/Memtable.ts"
import * as SortedRuns from "../../../src/storage/memtable/SortedRuns.ts"
import { cell } from "../store.ts"

describe("older cells of a key", () => {
  it("stay only for the views that are open, however many were opened and closed between", () => {
    const memtable = Memtable.make()
    Memtable.set(memtable, cell("a", 1))
    const entry = memtable.entries.get("a")!
    for (let round = 1; round <= 1000; round++) {
      entry.pending = cell("a", round + 1)
      // One that stays open, one that was opened before each write and is closed behind it.
      Memtable.publish(memtable, entry, round, round === 1 ? [0] : [0, round - 1])
    }
    const kept: Array<number> = []
    for (let older = entry.older; older !== undefined; older = older.older) kept.push(older.cell.version.counter)
    assert.deepStrictEqual(kept, [1000, 1])
    assert.strictEqual(Memtable.visible(entry, 0)?.version.counter, 1)
    assert.strictEqual(Memtable.visible(entry, 999)?.version.counter, 1000)
  })
})

describe("sorted runs of 180,000 things", () => {
  const count = 180_000
  const sorted = SortedRuns.make<{ readonly key: string }>()
  // 7919 is a prime: each number comes once, in no order.
  for (let index = 0; index < count; index++) {
    SortedRuns.add(sorted, { key: String((index * 7919) % count).padStart(6, "0") })
  }

  it("are merged in steps of some thousand while they come", () => {
    const lengths = SortedRuns.sealed(sorted).map(({ length }) => length)
    assert.strictEqual(lengths.reduce((sum, length) => sum + length, 0), count)
    assert.isAtMost(Math.max(...lengths), 16_384)
    assert.isAtMost(lengths.length, 16)
  })

  it.effect("become one while others get their turn", () =>
    Effect.gen(function*() {
      let turns = 0
      const other = yield* Effect.forkChild(Effect.forever(Effect.andThen(Effect.yieldNow, Effect.sync(() => turns++))))
      const one = yield* SortedRuns.inOne(sorted)
      yield* Fiber.interrupt(other)
      assert.deepStrictEqual(one.map(({ key }) => Number(key)), Array.from({ length: count }, (_, index) => index))
      assert.isAbove(turns, 40)
    }))
})
