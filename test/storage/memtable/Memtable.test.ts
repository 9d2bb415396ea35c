import { assert, describe, it } from "@effect/vitest"
import * as Memtable from "../../../src/storage/memtable/Memtable.ts"
import * as SortedRuns from "../../../src/storage/memtable/SortedRuns.ts"
import { cell, tombstone } from "../store.ts"

const cellsOf = ({ runs }: Memtable.Memtable) =>
  SortedRuns.sealed(runs).flatMap((run) => run.map((entry) => entry.cell))

describe("Memtable", () => {
  it("shows a pending cell to nobody until it is published", () => {
    const memtable = Memtable.make()
    const entry = Memtable.reserve(memtable, cell("a", 1))
    assert.isUndefined(Memtable.get(memtable, "a"))
    assert.deepStrictEqual(cellsOf(memtable), [])
    assert.strictEqual(memtable.sizeBytes, 0)
    Memtable.publish(memtable, entry, 1)
    assert.deepStrictEqual(Memtable.get(memtable, "a"), cell("a", 1))
    assert.deepStrictEqual(cellsOf(memtable), [cell("a", 1)])
  })

  it("is as it was when a pending cell is withdrawn", () => {
    const memtable = Memtable.make()
    Memtable.set(memtable, cell("a", 1))
    const { sizeBytes } = memtable
    const known = memtable.entries.get("a")!
    known.pending = cell("a", 2, "longer than before")
    Memtable.withdraw(memtable, known)
    Memtable.withdraw(memtable, Memtable.reserve(memtable, cell("b", 2)))
    assert.deepStrictEqual(cellsOf(memtable), [cell("a", 1)])
    assert.strictEqual(memtable.entries.size, 1)
    assert.strictEqual(memtable.sizeBytes, sizeBytes)
  })

  it("counts each key once, by the bytes of the cell that is there", () => {
    const once = Memtable.make()
    Memtable.set(once, cell("a", 3, "v"))
    const often = Memtable.make()
    for (const one of [cell("a", 1, "longer"), tombstone("a", 2), cell("a", 3, "v")]) Memtable.set(often, one)
    assert.strictEqual(often.sizeBytes, once.sizeBytes)
    assert.isAbove(once.sizeBytes, "av".length)
  })

  it("keeps for each open view what it showed, and nothing once no view is open", () => {
    const memtable = Memtable.make()
    Memtable.set(memtable, cell("a", 1))
    const entry = memtable.entries.get("a")!
    const write = (counter: number, sequence: number, views?: Memtable.OpenViews) => {
      entry.pending = cell("a", counter)
      Memtable.publish(memtable, entry, sequence, views)
    }
    const seen = (sequence: number) => Memtable.visible(entry, sequence)?.version.counter
    write(2, 1, [0])
    write(3, 2, [0])
    write(4, 3, [0, 2])
    assert.deepStrictEqual([0, 2, 3, 9].map(seen), [1, 3, 4, 4])
    write(5, 4, [2])
    assert.deepStrictEqual([2, 4].map(seen), [3, 5])
    assert.isUndefined(entry.older!.older, "what only the closed view saw is gone")
    write(6, 5)
    assert.isUndefined(entry.older)
  })

  it("hides a key that came after the view", () => {
    const memtable = Memtable.make()
    const entry = Memtable.reserve(memtable, cell("a", 1))
    Memtable.publish(memtable, entry, 7, [3, 6])
    assert.isUndefined(Memtable.visible(entry, 6))
    assert.isDefined(Memtable.visible(entry, 7))
  })
})
