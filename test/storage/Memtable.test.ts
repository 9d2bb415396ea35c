import { assert, describe, it } from "@effect/vitest"
import * as Memtable from "../../src/storage/memtable/Memtable.ts"
import { cell, tombstone } from "./store.ts"

describe("Memtable", () => {
  it("shows a pending cell to nobody until it is published", () => {
    const memtable = Memtable.make(1)
    const entry = Memtable.reserve(memtable, cell("a", 1))
    assert.isUndefined(Memtable.get(memtable, "a"))
    assert.deepStrictEqual(Memtable.cellsOf(memtable), [])
    assert.strictEqual(memtable.sizeBytes, 0)
    Memtable.publish(memtable, entry)
    assert.deepStrictEqual(Memtable.get(memtable, "a"), cell("a", 1))
    assert.deepStrictEqual(Memtable.cellsOf(memtable), [cell("a", 1)])
  })

  it("is as it was when a pending cell is withdrawn", () => {
    const memtable = Memtable.make(1)
    Memtable.set(memtable, cell("a", 1))
    const { sizeBytes } = memtable
    const known = memtable.entries.get("a")!
    known.pending = cell("a", 2, "longer than before")
    Memtable.withdraw(memtable, known)
    Memtable.withdraw(memtable, Memtable.reserve(memtable, cell("b", 2)))
    assert.deepStrictEqual(Memtable.cellsOf(memtable), [cell("a", 1)])
    assert.strictEqual(memtable.entries.size, 1)
    assert.strictEqual(memtable.sizeBytes, sizeBytes)
  })

  it("counts each key once, by the bytes of the cell that is there", () => {
    const once = Memtable.make(1)
    Memtable.set(once, cell("a", 3, "v"))
    const often = Memtable.make(1)
    for (const one of [cell("a", 1, "longer"), tombstone("a", 2), cell("a", 3, "v")]) Memtable.set(often, one)
    assert.strictEqual(often.sizeBytes, once.sizeBytes)
    assert.isAbove(once.sizeBytes, "av".length)
  })
})
