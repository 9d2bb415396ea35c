import { assert, describe, it } from "@effect/vitest"
import { quorumRead } from "../../../src/simulation/checkers/quorumRead.ts"
import { disturbance, get, put, refusedPut, remove, run, shown, unknownPut, unknownRemove } from "./histories.ts"

describe("quorum-read", () => {
  it("holds when reads see the last acknowledged write, a concurrent one, or one of unknown outcome", () => {
    const history = [
      get([0, 1]),
      put("a", [2, 5], 1),
      get([3, 4]),
      get([6, 7], 1, "a"),
      unknownPut("b", [8, 9]),
      get([10, 11], 2, "b"),
      remove([12, 15], 3),
      get([13, 14], 3),
      get([13, 16], 2, "b"),
      get([17, 18], 3),
      unknownRemove([19, 20]),
      get([21, 22], 4)
    ]
    assert.deepStrictEqual(quorumRead(run(history)), [])
  })

  it("holds when a write that was stamped again is seen under its first version", () => {
    assert.deepStrictEqual(quorumRead(run([put("a", [1, 4], 7), get([2, 3], 5, "a")])), [])
  })

  it("breaks when a read returns a version older than a write acknowledged before it", () => {
    const violations = quorumRead(run([put("a", [1, 2], 1), put("b", [3, 4], 2), get([5, 6], 1, "a")]))
    assert.deepStrictEqual(shown(violations), [[3, 5]])
    assert.include(violations[0]!.detail, "put key = b (operation 3, client 1 on node1) was acknowledged with 2-node1-")
  })

  it("takes operations in the order of their places, not of the list", () => {
    const history = [get([5, 6], 1, "a"), put("b", [3, 4], 2), get([0, 1]), put("a", [1, 2], 1)]
    assert.deepStrictEqual(shown(quorumRead(run(history))), [[3, 5]])
  })

  it("breaks when an acknowledged write, or delete, is answered with nothing", () => {
    assert.deepStrictEqual(shown(quorumRead(run([put("a", [1, 2], 1), get([3, 4])]))), [[1, 3]])
    assert.deepStrictEqual(shown(quorumRead(run([remove([1, 2], 1), get([3, 4])]))), [[1, 3]])
  })

  it("asks nothing of a read that need not share a replica with the write, and everything of one that must", () => {
    const write = put("a", [1, 2], 1)
    assert.deepStrictEqual(quorumRead(run([write, get([3, 4], undefined, undefined, { quorum: 1 })])), [])
    assert.deepStrictEqual(quorumRead(run([{ ...write, quorum: 1 }, get([3, 4])])), [])
    assert.lengthOf(quorumRead(run([{ ...write, quorum: 3 }, get([3, 4], undefined, undefined, { quorum: 1 })])), 1)
    assert.lengthOf(quorumRead(run([{ ...write, quorum: 1 }, get([3, 4], undefined, undefined, { quorum: 3 })])), 1)
    assert.lengthOf(quorumRead(run([write, get([3, 4])], { replicationFactor: 2 })), 1)
  })

  it("asks nothing of a write whose only copy may be destroyed", () => {
    const history = [put("a", [1, 2], 1, { quorum: 1 }), get([30, 31], undefined, undefined, { quorum: 3 })]
    assert.lengthOf(quorumRead(run(history)), 1)
    const disturbances = [disturbance(["node2"], 5, Infinity, "bit-rot")]
    assert.deepStrictEqual(quorumRead(run(history, { disturbances })), [])
  })

  it("breaks when a read of any quorum shows a value that", () => {
    const madeUp = (...history: Parameters<typeof run>[0]) =>
      quorumRead(run(history.map((operation) => operation.kind === "get" ? { ...operation, quorum: 1 } : operation)))
        .map(({ detail }) => detail.replace(/^.*made up: /, ""))
    assert.deepStrictEqual(madeUp(put("a", [1, 2], 1), get([3, 4], 2, "b")), ["nobody wrote this value to this key"])
    assert.deepStrictEqual(madeUp(put("b", [1, 2], 1, { key: "other" }), get([3, 4], 2, "b")), [
      "nobody wrote this value to this key"
    ])
    assert.deepStrictEqual(madeUp(refusedPut("a", [1, 2]), get([3, 4], 1, "a")), [
      "its write was refused as not applied"
    ])
    assert.deepStrictEqual(madeUp(get([1, 2], 1, "a"), put("a", [3, 4], 1)), ["its write had not begun"])
    assert.match(madeUp(put("a", [1, 2], 1), get([3, 4], 2, "a"))[0]!, /^its write was acknowledged with the older /)
    assert.deepStrictEqual(madeUp(put("a", [1, 2], 1), put("b", [3, 4], 2), get([5, 6], 2, "a")), [
      "this version was acknowledged for the value b, operation 3"
    ])
    assert.deepStrictEqual(madeUp(remove([3, 4], 2), unknownPut("a", [1, 2]), get([5, 6], 2, "a")), [
      "this version was acknowledged for a delete, operation 3"
    ])
    const unversioned = get([3, 4], undefined, "a")
    assert.deepStrictEqual(madeUp(unknownPut("a", [1, 2]), unversioned), ["a value without a version"])
  })

  it("breaks when a tombstone is seen that no delete can have left", () => {
    const detail = "no delete of this key can have this version"
    const seen = (...history: Parameters<typeof run>[0]) => quorumRead(run(history)).map((each) => each.detail)
    assert.include(seen(unknownPut("a", [1, 2]), get([3, 4], 1))[0], detail)
    assert.include(seen(remove([1, 2], 1), get([3, 4], 2))[0], detail)
    assert.include(seen(get([1, 2], 1), unknownRemove([3, 4]))[0], detail)
    assert.deepStrictEqual(seen(remove([1, 2], 1), unknownRemove([3, 4]), get([5, 6], 2)), [])
  })
})
