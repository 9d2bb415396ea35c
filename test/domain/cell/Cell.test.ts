import { assert, describe, it } from "@effect/vitest"
import * as Cell from "../../../src/domain/cell/Cell.ts"
import { Key } from "../../../src/domain/Key.ts"
import { NodeId } from "../../../src/domain/NodeId.ts"
import { Incarnation } from "../../../src/domain/Version.ts"
import { cellsOfOneKey, plain } from "../arbitraries.ts"

const cell = (counter: number, contents: string | undefined, contentType = "text/plain"): Cell.Cell => ({
  key: Key.make("k"),
  version: { counter, nodeId: NodeId.make("node1"), incarnation: Incarnation.make("9f86d081884c") },
  value: contents === undefined ? undefined : { bytes: Buffer.from(contents), contentType }
})

const merged = (left: Cell.Cell, right: Cell.Cell) => plain(Cell.merge(left, right))

describe("Cell", () => {
  it.prop("merges the same in either order", [cellsOfOneKey], ([[a, b]]) => {
    assert.deepStrictEqual(merged(a!, b!), merged(b!, a!))
  }, { arbitrary: { runs: 500 } })

  it.prop("merges the same in any grouping", [cellsOfOneKey], ([[a, b, c]]) => {
    assert.deepStrictEqual(merged(Cell.merge(a!, b!), c!), merged(a!, Cell.merge(b!, c!)))
  }, { arbitrary: { runs: 500 } })

  it.prop("does not change by merging with what it already merged", [cellsOfOneKey], ([[a, b]]) => {
    assert.deepStrictEqual(merged(a!, a!), plain(a!))
    assert.deepStrictEqual(merged(Cell.merge(a!, b!), b!), merged(a!, b!))
  }, { arbitrary: { runs: 500 } })

  it("takes the newer version, value or tombstone", () => {
    assert.deepStrictEqual(merged(cell(2, "a"), cell(1, "z")), plain(cell(2, "a")))
    assert.deepStrictEqual(merged(cell(2, undefined), cell(1, "z")), plain(cell(2, undefined)))
    assert.deepStrictEqual(merged(cell(2, "z"), cell(3, undefined)), plain(cell(3, undefined)))
    assert.deepStrictEqual(merged(cell(3, ""), cell(2, undefined)), plain(cell(3, "")))
  })

  it("of one version, takes the tombstone, else the greater bytes, else the greater content type", () => {
    const ascending = [cell(1, "", "z"), cell(1, "a", "a"), cell(1, "a", "b"), cell(1, "b", "a"), cell(1, undefined)]
    for (const [index, lower] of ascending.entries()) {
      assert.strictEqual(Cell.compare(lower, { ...lower, value: lower.value && { ...lower.value } }), 0)
      for (const higher of ascending.slice(index + 1)) {
        assert.deepStrictEqual(merged(lower, higher), plain(higher))
        assert.deepStrictEqual(merged(higher, lower), plain(higher))
      }
    }
  })

  it("is a tombstone without a value, and not with an empty one", () => {
    assert.isTrue(Cell.isTombstone(cell(1, undefined)))
    assert.isFalse(Cell.isTombstone(cell(1, "")))
  })
})
