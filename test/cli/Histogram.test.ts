import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Histogram from "../../src/cli/Histogram.ts"

const micros = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10_000_000 }))

const of = (values: ReadonlyArray<number>) => {
  const histogram = Histogram.make()
  for (const value of values) Histogram.record(histogram, value)
  return histogram
}

describe("Histogram", () => {
  it.prop("gives every percentile within one part in 128 above the exact one", {
    values: Schema.NonEmptyArray(micros),
    share: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1000 }))
  }, ({ share, values }) => {
    const exact = values.toSorted((left, right) => left - right)[Math.ceil(values.length * share / 1000) - 1]!
    const found = Histogram.percentileMicros(of(values), share / 1000)
    assert.isAtLeast(found, exact)
    assert.isAtMost(found, exact * (1 + 1 / 128) + 1)
  })

  it("gives small latencies exactly", () => {
    const histogram = of([1, 2, 3, 4, 255])
    assert.strictEqual(Histogram.percentileMicros(histogram, 0.2), 1)
    assert.strictEqual(Histogram.percentileMicros(histogram, 0.5), 3)
    assert.strictEqual(Histogram.percentileMicros(histogram, 1), 255)
  })

  it("counts every request and keeps the slowest as it was", () => {
    const histogram = of([5, 999_999, 70])
    assert.strictEqual(histogram.count, 3)
    assert.strictEqual(histogram.maxMicros, 999_999)
    assert.strictEqual(Histogram.percentileMicros(histogram, 1), 999_999)
  })

  it("takes what no request lasts without leaving its buckets", () => {
    const histogram = of([-1, 2 ** 33])
    assert.strictEqual(Histogram.percentileMicros(histogram, 0.5), 0)
    assert.strictEqual(Histogram.percentileMicros(histogram, 1), 2 ** 32 - 1)
  })

  it("is 0 when nothing was measured", () => {
    assert.strictEqual(Histogram.percentileMicros(Histogram.make(), 0.99), 0)
  })
})
