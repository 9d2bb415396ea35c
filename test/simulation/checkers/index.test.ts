import { assert, describe, it } from "@effect/vitest"
import { checkAll, promises } from "../../../src/simulation/checkers/index.ts"
import { cell, final, get, notApplied, put, refusedPut, remove, run } from "./histories.ts"

describe("all promises", () => {
  it("hold for a run that keeps them", () => {
    const history = [put("a", [1, 2], 1), get([3, 4], 1, "a"), remove([5, 6], 2), get([7, 8], 2)]
    assert.deepStrictEqual(checkAll(run(history, { final: final(cell(2)) })), [])
  })

  it("break each by its own name in a run that breaks them all", () => {
    const history = [
      put("a", [1, 2], 5),
      remove([3, 4], 4),
      put("c", [5, 6], 5),
      get([7, 8], 5, "c"),
      get([9, 10], 3, "b"),
      refusedPut("d", [11, 12]),
      { ...get([13, 14]), outcome: notApplied("Surprise") }
    ]
    const broken = new Set(
      checkAll(run(history, { final: final(cell(1, "a"), cell(2)) })).map(({ promise }) => promise)
    )
    assert.deepStrictEqual(Array.from(broken), promises.map(({ name }) => name))
  })
})
