import { assert, describe, it } from "@effect/vitest"
import { allNew, amongKeys, type Load, merged, Store, type Strategy, tableOf } from "../../bench/compaction/Model.ts"
import { leveled, sizeTiered, tableBytesOf } from "../../bench/compaction/strategies.ts"

const mebibyte = 1024 * 1024
const load: Load = { lineBytes: 200, flushBytes: 20 * mebibyte, logBytesMax: 128 * mebibyte }
const perFlush = load.flushBytes / load.lineBytes
const never: Strategy = () => undefined

describe("a merge of the model", () => {
  const sum = (values: ReadonlyArray<number>) => values.reduce((total, value) => total + value, 0)

  it("keeps every cell where all keys are new, in tables that lie side by side and are no larger than asked", () => {
    const inputs = [tableOf(0, 1, 1000, 1), tableOf(0.2, 0.5, 300, 1), tableOf(0.5, 0.9, 700, 1)]
    const tables = merged(inputs, 150, allNew, 1)
    assert.closeTo(sum(tables.map(({ cells }) => cells)), 2000, 1e-6)
    assert.strictEqual(tables.length, 14)
    assert.deepInclude({ from: tables[0]!.from, to: tables.at(-1)!.to }, { from: 0, to: 1 })
    for (const [index, table] of tables.entries()) {
      assert.isAtMost(table.sizeBytes, 150 + 1e-6)
      if (index > 0) assert.strictEqual(table.from, tables[index - 1]!.to)
    }
    // From 0.2 to 0.5 two tables of 1,000 cells for all keys lie on each other.
    const denser = merged([inputs[0]!, inputs[1]!], 100, allNew, 1).filter(({ from, to }) => from > 0.25 && to < 0.45)
    for (const { from, to } of denser) assert.closeTo(100 / (to - from), 2000, 1e-6)
  })

  it("drops what is overwritten: nothing is added to all keys, and half of them twice are three quarters", () => {
    const cellsOf = (...cells: ReadonlyArray<number>) =>
      sum(merged(cells.map((cells) => tableOf(0, 1, cells, 1)), 1e9, amongKeys(1000), 1).map(({ cells }) => cells))
    assert.closeTo(cellsOf(1000, 400), 1000, 1e-6)
    assert.closeTo(cellsOf(500, 500), 750, 1e-6)
  })
})

describe("a store of the model", () => {
  it("has written each byte once, and a run for each flush, when nothing is merged", () => {
    const store = new Store(load, never)
    store.fill(10 * perFlush)
    assert.deepInclude(store.figures(), { writeAmplification: 1, runsMean: 5.5, runsMax: 10, tables: 10, spaceMean: 1 })
  })

  it("merges four equal tables into one with the size-tiered strategy, and has then written each byte twice", () => {
    const store = new Store(load, sizeTiered)
    store.fill(4 * perFlush)
    assert.deepInclude(store.figures(), {
      writeAmplification: 2,
      tables: 1,
      runsMax: 3,
      largestMergeBytes: 80 * mebibyte
    })
  })

  it("holds no more than its keys, and writes less than comes in, when its memtable holds all keys", () => {
    const store = new Store(load, leveled(), 1000, tableBytesOf(0))
    store.overwrite(10_000_000, 1000)
    const { spaceMean, writeAmplification } = store.figures()
    assert.isBelow(writeAmplification, 0.01)
    assert.isAtMost(spaceMean, 7)
  })

  it("of ten million cells stays within what the engine aims at: writes each byte 12 times, holds 1.3 for each live one", () => {
    const cells = 10_000_000
    const filled = new Store(load, leveled())
    filled.fill(cells)
    assert.isBelow(filled.figures().writeAmplification, 8)
    const full = new Store(load, leveled(), cells, tableBytesOf(cells * load.lineBytes))
    full.overwrite(2 * cells, cells)
    full.resetFigures()
    full.overwrite(2 * cells, cells)
    const { largestMergeBytes, runsMax, spaceMean, tables, writeAmplification } = full.figures()
    assert.isBelow(writeAmplification, 12)
    assert.isBelow(spaceMean, 1.3)
    assert.isAtMost(runsMax, 8)
    assert.isAtMost(tables, 300)
    assert.isBelow(largestMergeBytes, 512 * mebibyte)
  })
})
