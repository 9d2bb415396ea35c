import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as PartitionDigest from "../../src/anti-entropy/PartitionDigest.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import { hash64 } from "../../src/domain/xxhash64.ts"
import { a, b, cellOf, version } from "../coordinator/requests.ts"
import { cell as anyCell } from "../domain/arbitraries.ts"

const partitions = 4

/** A cell belongs to the partition that its key's length says. */
const digestsOf = (cells: ReadonlyArray<Cell>) => {
  const digests = PartitionDigest.make(partitions)
  for (const cell of cells) digests.add(cell.key.length % partitions, cell)
  return digests.format()
}

const digest = (cells: number, hash = "0123456789abcdef") => `${hash}-${cells}`

describe("PartitionDigest", () => {
  it.prop("does not depend on the order of cells", {
    cells: Arbitrary.array(anyCell, { maxLength: 10 }),
    by: Schema.Int
  }, ({ by, cells }) => {
    const shuffled = cells.toSorted((left, right) => hash64(`${left.key}${by}`) < hash64(`${right.key}${by}`) ? -1 : 1)
    assert.deepStrictEqual(digestsOf(shuffled), digestsOf(cells))
    assert.deepStrictEqual(digestsOf(cells.toReversed()), digestsOf(cells))
  })

  it("differs in the partition, and only there, of a missing cell, another key or another version", () => {
    const cells = [cellOf(1), { ...cellOf(2), key: "other" as Cell["key"] }]
    const all = digestsOf(cells)
    const changed: ReadonlyArray<ReadonlyArray<Cell>> = [
      cells.slice(1),
      [{ ...cells[0]!, key: "l" as Cell["key"] }, cells[1]!],
      [{ ...cells[0]!, version: version(3) }, cells[1]!],
      [{ ...cells[0]!, version: version(1, b) }, cells[1]!],
      [...cells, { ...cells[0]!, key: "m" as Cell["key"] }]
    ]
    for (const cells of changed) {
      const digests = digestsOf(cells)
      assert.notStrictEqual(digests[1], all[1])
      assert.deepStrictEqual(digests.toSpliced(1, 1), all.toSpliced(1, 1))
    }
  })

  it("looks at versions alone, so that a tombstone and a value of one version are alike", () => {
    assert.deepStrictEqual(digestsOf([cellOf(1, "x")]), digestsOf([{ ...cellOf(1), value: undefined }]))
  })

  it("reads as 16 hexadecimal digits and the number of cells", () => {
    assert.deepStrictEqual(digestsOf([]), Array.from({ length: partitions }, () => digest(0, "0000000000000000")))
    const [, one] = digestsOf([cellOf(1)])
    assert.match(one!, /^[0-9a-f]{16}-1$/)
    assert.strictEqual(one!.slice(0, 16), hash64(`1-${a}-9f86d081884c k`).toString(16).padStart(16, "0"))
  })
})
