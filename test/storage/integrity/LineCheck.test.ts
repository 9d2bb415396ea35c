import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DiskMemory from "../../../src/disk/DiskMemory.ts"
import type { Cell } from "../../../src/domain/cell/Cell.ts"
import { checkTables } from "../../../src/storage/integrity/verify.ts"
import * as BlockCache from "../../../src/storage/sstable/BlockCache.ts"
import * as Bloom from "../../../src/storage/sstable/Bloom.ts"
import * as Table from "../../../src/storage/sstable/Table.ts"
import * as TableWriter from "../../../src/storage/sstable/TableWriter.ts"
import { cell, tombstone } from "../store.ts"

const directory = "data"

const written = Effect.fnUntraced(function*(cells: ReadonlyArray<Cell>, settings = TableWriter.defaults) {
  const { disk } = DiskMemory.make(1)
  const writer = yield* TableWriter.open(disk, directory, 1, settings)
  for (const one of cells) writer.add(one)
  yield* writer.finish
  const table = yield* Table.open({ disk, directory, cache: BlockCache.make(0), onDamage: () => {} }, 1)
  return { disk, table }
})

/** What is wrong, by the words alone. */
const problemsOf = Effect.fnUntraced(function*(
  cells: ReadonlyArray<Cell>,
  change: (table: Table.Table) => Table.Table = (table) => table
) {
  const { disk, table } = yield* written(cells, { ...TableWriter.defaults, blockBytes: 150 })
  const options = { disk, directory, spanBytes: 300, repairIndex: false, lines: true }
  return (yield* checkTables([change(table)], options)).map(({ reason }) => reason)
})

const some = [cell("a", 1), cell("b", 2), tombstone("c", 3), cell("d", 4), cell("e", 5), cell("ü\"", 6)]

describe("the lines of a table", () => {
  it.effect("are right when they are what its index says", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* problemsOf(some), [])
    }))

  it.effect("are wrong out of order, also from one block to the next, and when a key comes twice", () =>
    Effect.gen(function*() {
      const order = (cells: ReadonlyArray<Cell>) =>
        Effect.map(problemsOf(cells), (problems) => problems.filter((problem) => problem.includes("out of order")))
      assert.deepStrictEqual(yield* order([cell("b", 1), cell("a", 2)]), ["the key \"a\" is out of order"])
      assert.strictEqual((yield* order([cell("b", 1, "x".repeat(200)), cell("a", 2)])).length, 1)
      assert.strictEqual((yield* order([cell("a", 1), cell("a", 2)])).length, 1)
    }))

  it.effect("are wrong when the index, the filter or the totals do not fit them", () =>
    Effect.gen(function*() {
      const index = (table: Table.Table, changed: Partial<Table.Table["index"]>) => ({
        ...table,
        index: { ...table.index, ...changed }
      })
      const first = yield* problemsOf(some, (table) => index(table, { firstKeys: table.index.firstKeys.with(0, "A") }))
      assert.deepStrictEqual(first[0], "the index says that it begins with \"A\", which it does not")
      const filter = yield* problemsOf(some, (table) => index(table, { bloom: Bloom.make(6) }))
      assert.strictEqual(filter[0], "the filter does not know the key \"a\"")
      const counter = yield* problemsOf(some, (table) => ({ ...table, counterMax: 5 }))
      assert.deepStrictEqual(counter, ["the key \"ü\\\"\" has a counter above 5"])
      const totals = yield* problemsOf(some, (table) => ({ ...table, tombstones: 2 }))
      assert.deepStrictEqual(totals, ["it has 6 cells and 1 tombstones, its index says 6 and 2"])
      const last = yield* problemsOf(some, (table) => ({ ...table, keyMax: some[0]!.key }))
      assert.deepStrictEqual(last, ["its last key is not \"a\", as its index says"])
    }))
})
