import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { deflateRawSync } from "node:zlib"
import { keyBytes, keyOf, missingKeyOf, permutation, values } from "../../bench/storage/cells.ts"

const seed = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 }))

describe("cells", () => {
  it.prop("every index comes once, whatever the count and the seed", {
    count: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2000 })),
    seed
  }, ({ count, seed }) => {
    const shuffled = permutation(count, seed)
    const seen = Array.from({ length: count }, (_, index) => shuffled(index))
    assert.deepStrictEqual(seen.toSorted((left, right) => left - right), Array.from({ length: count }, (_, at) => at))
  })

  it("an index outside is refused, since it might never come to an end", () => {
    const shuffled = permutation(10, 1)
    assert.throws(() => shuffled(10), RangeError)
    assert.throws(() => shuffled(-1), RangeError)
  })

  it("the order of a large fill is far from the keys' order", () => {
    const count = 10_000
    const shuffled = permutation(count, 1)
    let ascending = 0
    for (let index = 1; index < count; index++) {
      if (shuffled(index) > shuffled(index - 1)) ascending++
    }
    assert.isAbove(ascending, count * 0.47)
    assert.isBelow(ascending, count * 0.53)
  })

  it("keys have their size, sort by index, and a missing one lies between each two", () => {
    for (const index of [0, 9, 99, 123_456, 9_999_999]) {
      assert.strictEqual(keyOf(index).length, keyBytes)
      assert.strictEqual(missingKeyOf(index).length, keyBytes)
      assert.isTrue(keyOf(index) < missingKeyOf(index) && missingKeyOf(index) < keyOf(index + 1))
    }
  })

  it.each([100, 1024])("values of %i bytes compress to about a half, and are the same for both stores", (sizeBytes) => {
    const [left, right] = [values(sizeBytes, 7), values(sizeBytes, 7)]
    const text: Array<Buffer> = []
    // More values than the pool holds, so that its end is used as well.
    for (let count = 0; count < 3_000_000 / sizeBytes; count++) {
      const value = left()
      assert.strictEqual(value.length, sizeBytes)
      assert.strictEqual(Buffer.compare(value, right()), 0)
      if (text.length < 1000) text.push(value)
    }
    const bytes = Buffer.concat(text)
    const share = deflateRawSync(bytes).length / bytes.length
    assert.isAbove(share, 0.3)
    assert.isBelow(share, 0.6)
  })
})
