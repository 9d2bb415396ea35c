import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import * as DiskMemory from "../../../src/disk/DiskMemory.ts"
import type { Cell } from "../../../src/domain/cell/Cell.ts"
import { checkTables } from "../../../src/storage/integrity/verify.ts"
import * as Bloom from "../../../src/storage/sstable/Bloom.ts"
import type * as Table from "../../../src/storage/sstable/Table.ts"
import * as TableWriter from "../../../src/storage/sstable/TableWriter.ts"
import { inVirtualTime } from "../../inVirtualTime.ts"
import { write } from "../sstable/tables.ts"
import { cell, directory, tombstone } from "../store.ts"

const problemsOf = Effect.fnUntraced(function*(
  cells: ReadonlyArray<Cell>,
  change: (table: Table.Table) => Table.Table = (table) => table
) {
  const { disk } = DiskMemory.make(1)
  const table = yield* write({ disk }, 1, cells, { ...TableWriter.defaults, blockBytes: 150 })
  const options = { disk, directory, spanBytes: 300, repairIndex: false, lines: true }
  return (yield* checkTables([change(table)], options)).map(({ reason }) => reason)
})

const some = [cell("a", 1), cell("b", 2), tombstone("c", 3), cell("d", 4), cell("e", 5), cell("ü\"", 6)]

describe("the lines of a table", () => {
  inVirtualTime("are right when they agree with its index", function*() {
    assert.deepStrictEqual(yield* problemsOf(some), [])
  })

  inVirtualTime("are wrong when keys are out of order, within or across blocks, or occur twice", function*() {
    const order = (cells: ReadonlyArray<Cell>) =>
      Effect.map(problemsOf(cells), (problems) => problems.filter((problem) => problem.includes("out of order")))
    assert.deepStrictEqual(yield* order([cell("b", 1), cell("a", 2)]), ["the key \"a\" is out of order"])
    assert.strictEqual((yield* order([cell("b", 1, "x".repeat(200)), cell("a", 2)])).length, 1)
    assert.strictEqual((yield* order([cell("a", 1), cell("a", 2)])).length, 1)
  })

  inVirtualTime("are wrong when the index, the filter or the totals disagree with them", function*() {
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
  })
})
