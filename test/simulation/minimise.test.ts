import { assert, describe, it } from "@effect/vitest"
import { minimise } from "../../src/simulation/minimise.ts"

describe("a failing schedule", () => {
  it("shrinks to the faults that it takes, wherever they stand", () => {
    for (const needed of [[0], [3], [9], [2, 7], [0, 5, 9]]) {
      const keep = minimise(10, (kept) => needed.every((place) => kept.includes(place)))
      assert.deepStrictEqual(keep, needed)
    }
  })

  it("shrinks to nothing when it fails without any fault", () => {
    assert.deepStrictEqual(minimise(8, () => true), [])
  })

  it("stays whole when every fault is needed", () => {
    assert.deepStrictEqual(minimise(5, (kept) => kept.length === 5), [0, 1, 2, 3, 4])
  })
})
