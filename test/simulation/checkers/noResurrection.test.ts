import { assert, describe, it } from "@effect/vitest"
import { noResurrection } from "../../../src/simulation/checkers/noResurrection.ts"
import { cell, disturbance, final, get, put, refusedPut, remove, run, shown, unknownPut } from "./histories.ts"

const deleted = [put("a", [1, 2], 1), remove([3, 4], 2)]

describe("no-resurrection", () => {
  it("holds when a deleted key stays so, or is written again", () => {
    assert.deepStrictEqual(noResurrection(run([...deleted, get([5, 6], 2)], { final: final(cell(2)) })), [])
    const again = [...deleted, put("b", [5, 6], 3), get([7, 8], 3, "b")]
    assert.deepStrictEqual(noResurrection(run(again, { final: final(cell(3, "b")) })), [])
    assert.deepStrictEqual(noResurrection(run([put("a", [1, 2], 1)], { final: final(cell(1, "a")) })), [])
  })

  it("holds when a write of unknown outcome that began before the delete turns out newer", () => {
    const history = [unknownPut("b", [0, 2]), ...deleted, get([5, 6], 3, "b")]
    assert.deepStrictEqual(noResurrection(run(history, { final: final(cell(3, "b")) })), [])
  })

  it("holds when a read that is concurrent to the delete sees the value", () => {
    const history = [put("a", [1, 2], 1), remove([3, 6], 2), get([4, 7], 1, "a")]
    assert.deepStrictEqual(noResurrection(run(history, { final: final(cell(2)) })), [])
  })

  it("breaks when a later read sees a value older than the delete, and names both writes", () => {
    const violations = noResurrection(run([...deleted, get([5, 6], 1, "a")], { final: final(cell(2)) }))
    assert.deepStrictEqual(shown(violations), [[1, 3, 5]])
    assert.include(violations[0]!.detail, "delete key (operation 3, client 1 on node1) was acknowledged with 2-node1-")
  })

  it("breaks when the value came back under a new version", () => {
    assert.deepStrictEqual(shown(noResurrection(run([...deleted, get([5, 6], 3, "a")], { final: final(cell(2)) }))), [
      [1, 3, 5]
    ])
    assert.lengthOf(noResurrection(run(deleted, { final: final(cell(3, "a")) })), 3)
  })

  it("breaks when a replica ends with a value older than the delete, whoever wrote it", () => {
    const violations = noResurrection(run(deleted, { final: final(cell(2), cell(1, "a"), cell(2)) }))
    assert.deepStrictEqual(shown(violations), [[1, 3]])
    assert.match(violations[0]!.detail, /^node2 ends with value a at 1-node1-/)
    const unsure = [unknownPut("a", [1, 2]), remove([3, 4], 2)]
    assert.lengthOf(noResurrection(run(unsure, { final: final(cell(2), cell(2), cell(1, "a")) })), 1)
  })

  it("breaks when what follows the delete was refused, or never written", () => {
    const refused = [...deleted, refusedPut("b", [5, 6])]
    assert.lengthOf(noResurrection(run(refused, { final: final(cell(3, "b")) })), 3)
    assert.deepStrictEqual(shown(noResurrection(run(deleted, { final: final(cell(3, "b"), cell(2), cell(2)) }))), [[3]])
  })

  it("looks at replicas only, and at reads that share a replica with the delete", () => {
    const history = [...deleted, get([5, 6], 1, "a", { quorum: 1 })]
    const state = { ...final(cell(2), cell(2), cell(1, "a")), replicasOf: () => ["node1", "node2"] }
    assert.deepStrictEqual(noResurrection(run(history, { final: state })), [])
  })

  it("asks nothing of a delete whose only copy may be destroyed", () => {
    const history = [put("a", [1, 2], 1), remove([3, 4], 2, { quorum: 1 })]
    const state = { final: final(cell(1, "a")) }
    assert.lengthOf(noResurrection(run(history, state)), 3)
    const disturbances = [disturbance(["node1"], 9, 10, "lost-disk")]
    assert.deepStrictEqual(noResurrection(run(history, { ...state, disturbances })), [])
  })
})
