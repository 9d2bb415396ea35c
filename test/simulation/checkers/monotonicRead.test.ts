import { assert, describe, it } from "@effect/vitest"
import { monotonicRead } from "../../../src/simulation/checkers/monotonicRead.ts"
import { get, put, run, shown, unknown, unknownPut } from "./histories.ts"

describe("monotonic-read", () => {
  it("holds when versions only grow, and when concurrent reads differ", () => {
    const history = [
      get([1, 2]),
      unknownPut("a", [3, 4]),
      get([5, 8], 2, "b"),
      get([6, 9], 1, "a"),
      get([10, 11], 2, "b"),
      get([12, 13], 2, "b"),
      { ...get([14, 15]), outcome: unknown("ReadQuorumNotReached") },
      get([16, 17], undefined, undefined, { key: "other" }),
      get([18, 19], 3)
    ]
    assert.deepStrictEqual(monotonicRead(run(history)), [])
  })

  it("breaks when a later read returns an older version, on whichever node", () => {
    const history = [get([1, 2], 2, "b"), get([3, 4], 1, "a", { node: "node2" }), get([5, 6], 2, "b")]
    const violations = monotonicRead(run(history))
    assert.deepStrictEqual(shown(violations), [[1, 3]])
    assert.include(violations[0]!.detail, "saw value a at 1-node1-0123456789ab, though get key (operation 1")
  })

  it("is not distracted by a read that began before and ended later", () => {
    const history = [get([1, 10], 1, "a"), get([2, 3], 3, "c"), get([5, 6], 2, "b")]
    assert.deepStrictEqual(shown(monotonicRead(run(history))), [[2, 5]])
  })

  it("breaks when a later read returns nothing", () => {
    assert.deepStrictEqual(shown(monotonicRead(run([get([1, 2], 2, "b"), get([3, 4])]))), [[1, 3]])
    assert.deepStrictEqual(shown(monotonicRead(run([get([1, 2], 2), get([3, 4])]))), [[1, 3]])
  })

  it("breaks when one version shows two values, even to concurrent reads of one replica each", () => {
    const quorum = { quorum: 1 }
    const history = [get([1, 3], 2, "b", quorum), get([2, 4], 2, "c", quorum)]
    assert.deepStrictEqual(shown(monotonicRead(run(history))), [[1, 2]])
    assert.lengthOf(monotonicRead(run([get([1, 3], 2, "b", quorum), get([2, 4], 2, undefined, quorum)])), 1)
  })

  it("asks nothing of reads that need not share a replica", () => {
    const history = [get([1, 2], 2, "b"), get([3, 4], 1, "a", { quorum: 1 }), put("c", [5, 6], 1)]
    assert.deepStrictEqual(monotonicRead(run(history)), [])
  })
})
