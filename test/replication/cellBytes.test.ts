import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema, Stream } from "effect"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import { batches, type Bounds, bytesOf, inBatches } from "../../src/replication/cellBytes.ts"
import { cellOf } from "../coordinator/requests.ts"
import { cell as anyCell } from "../domain/arbitraries.ts"

const limit = (maximum: number) => Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum })))

const totalBytes = (cells: ReadonlyArray<Cell>) => cells.reduce((sum, cell) => sum + bytesOf(cell), 0)

describe("cellBytes", () => {
  it("counts the bytes of key, value and content type, and something for the version", () => {
    const tombstone: Cell = { ...cellOf(1), value: undefined }
    assert.isAbove(bytesOf(tombstone), 1)
    assert.strictEqual(bytesOf(cellOf(1, "v".repeat(100))), bytesOf(cellOf(1, "")) + 100)
    assert.isAbove(bytesOf(cellOf(1, "")), bytesOf(tombstone))
  })

  it.prop(
    "cuts into batches within both limits, one larger cell aside, that hold every cell once, in order, and none empty",
    {
      cells: Arbitrary.array(anyCell, { maxLength: 12 }),
      cellsMax: limit(5),
      bytesMax: limit(300)
    },
    ({ bytesMax, cells, cellsMax }) => {
      const cut = batches(cells, { cellsMax, bytesMax })
      assert.deepStrictEqual(cut.flat(), cells)
      for (const batch of cut) {
        assert.isTrue(batch.length > 0 && batch.length <= cellsMax)
        assert.isTrue(batch.length === 1 || totalBytes(batch) <= bytesMax)
      }
    },
    { arbitrary: { runs: 300 } }
  )

  it("fills batches to the brim", () => {
    const cells = [cellOf(1), cellOf(2), cellOf(3)]
    const bytesMax = totalBytes(cells.slice(0, 2))
    const lengths = (bounds: Bounds) => batches(cells, bounds).map((batch) => batch.length)
    assert.deepStrictEqual(lengths({ cellsMax: 9, bytesMax }), [2, 1])
    assert.deepStrictEqual(lengths({ cellsMax: 9, bytesMax: bytesMax - 1 }), [1, 1, 1])
    assert.deepStrictEqual(lengths({ cellsMax: 2, bytesMax: 1e9 }), [2, 1])
  })

  it.effect("cuts a stream as it cuts an array, across its chunks and with what is left at the end", () =>
    Effect.gen(function*() {
      const cells = Array.from({ length: 1030 }, (_, index) => cellOf(index + 1))
      const cut = yield* Stream.runCollect(inBatches(Stream.rechunk(Stream.fromIterable(cells), 100)))
      assert.deepStrictEqual(cut.map((batch) => batch.length), [512, 512, 6])
      assert.deepStrictEqual(cut.flat(), cells)
      assert.deepStrictEqual(yield* Stream.runCollect(inBatches(Stream.empty)), [])
    }))
})
