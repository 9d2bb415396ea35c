import { assert, describe, it } from "@effect/vitest"
import * as pairs from "../../bench/pairs.ts"

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1)

describe("pairs", () => {
  it("gives the item in the middle, the lower of two", () => {
    assert.strictEqual(pairs.median([3, 1, 2], (item) => item), 2)
    assert.strictEqual(pairs.median([4, 1, 3, 2], (item) => item), 2)
    assert.isUndefined(pairs.median([], () => 0))
  })

  it("bounds a median by the ranks of the sign test: 6 items all, 20 from the 6th to the 15th", () => {
    assert.deepStrictEqual(pairs.middle(upTo(6)), { median: 3.5, low: 1, high: 6, count: 6 })
    assert.deepStrictEqual(pairs.middle(upTo(9)), { median: 5, low: 2, high: 8, count: 9 })
    assert.deepStrictEqual(pairs.middle(upTo(20).toReversed()), { median: 10.5, low: 6, high: 15, count: 20 })
    assert.deepStrictEqual(pairs.middle([7]), { median: 7, low: 7, high: 7, count: 1 })
    assert.isUndefined(pairs.middle([]))
  })

  it("divides within a round only, and leaves out rounds that one side lacks", () => {
    const run = (round: number, micros: number | undefined) => ({ round, micros })
    const subject = [run(0, 110), run(1, 900), run(2, 99), run(3, 50)]
    const base = [run(2, 100), run(1, 1000), run(0, 100), run(3, undefined)]
    const ratio = pairs.ratios(subject, base, ({ micros }) => micros)
    assert.strictEqual(ratio?.count, 3)
    assert.strictEqual(ratio?.median, 0.99)
    assert.strictEqual(pairs.ratioText(ratio), "0.990 (0.90-1.10)")
    assert.strictEqual(pairs.ratioText(pairs.ratios(subject, [run(0, 0)], ({ micros }) => micros)), "-")
  })
})
