import { assert, describe, it } from "@effect/vitest"
import { convergence } from "../../../src/simulation/checkers/convergence.ts"
import { cell, final, run } from "./histories.ts"

const details = (state: ReturnType<typeof final>) => convergence(run([], { final: state })).map(({ detail }) => detail)

describe("convergence", () => {
  it("holds when replicas agree within the bound, to the millisecond", () => {
    assert.deepStrictEqual(details(final(cell(1, "a"))), [])
    assert.deepStrictEqual(details(final()), [])
    assert.deepStrictEqual(details({ ...final(cell(1)), convergedAfterMillis: 30_000 }), [])
  })

  it("breaks when they agree later, or never", () => {
    assert.deepStrictEqual(details({ ...final(), convergedAfterMillis: 30_001 }), [
      "replicas agreed 30001 ms after the last fault, later than 30000 ms"
    ])
    assert.deepStrictEqual(details({ ...final(), convergedAfterMillis: undefined }), [
      "replicas did not agree within 30000 ms after the last fault"
    ])
  })

  it("breaks when replicas hold different versions, and says which node holds what", () => {
    assert.deepStrictEqual(details(final(cell(1, "a"), cell(2), undefined)), [
      "replicas of key differ: node1 holds value a at 1-node1-0123456789ab, " +
      "node2 holds a tombstone at 2-node1-0123456789ab, node3 holds nothing"
    ])
    assert.lengthOf(details(final(undefined, undefined, cell(1))), 1)
    assert.lengthOf(details(final(cell(1), cell(1), cell(2))), 1)
  })

  it("breaks when one version has two values", () => {
    assert.lengthOf(details(final(cell(1, "a"), cell(1, "a"), cell(1, "b"))), 1)
    assert.lengthOf(details(final(cell(1, "a"), cell(1), cell(1, "a"))), 1)
  })

  it("asks nothing of nodes that are no replicas of the key", () => {
    const state = final(cell(2, "a"), cell(1, "b"), cell(2, "a"))
    assert.deepStrictEqual(details({ ...state, replicasOf: () => ["node1", "node3"] }), [])
  })

  it("breaks when a coordinator that starts again leaves hints on its disk", () => {
    const forgottenHints = [{ node: "node1", peer: "node2", onDisk: 3, pending: 1, atMillis: 70 }]
    const [violation] = convergence(run([], { forgottenHints }))
    assert.match(violation!.detail, /^node1 had 3 hints for node2 .* at 70 ms, takes up 1$/)
  })
})
