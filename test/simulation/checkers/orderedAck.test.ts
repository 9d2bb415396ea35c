import { assert, describe, it } from "@effect/vitest"
import { orderedAck } from "../../../src/simulation/checkers/orderedAck.ts"
import { at, disturbance, put, refusedPut, remove, run, shown, unknownPut } from "./histories.ts"

describe("ordered-ack", () => {
  it("holds when a later write has a newer version, and when concurrent ones have any", () => {
    const history = [
      put("a", [1, 4], 5),
      put("b", [2, 5], 4),
      put("c", [3, 10], 1),
      remove([6, 7], 6),
      unknownPut("d", [8, 9]),
      refusedPut("e", [11, 12]),
      put("f", [13, 14], 1, { key: "other" })
    ]
    assert.deepStrictEqual(orderedAck(run(history)), [])
  })

  it("breaks when a write is acknowledged with a version below one acknowledged before it began", () => {
    const violations = orderedAck(
      run([put("a", [1, 2], 5), put("b", [3, 4], 6), remove([5, 6], 4), put("c", [7, 8], 9)])
    )
    assert.deepStrictEqual(shown(violations), [[3, 5]])
    assert.strictEqual(violations[0]?.promise, "ordered-ack")
    assert.match(violations[0]!.detail, /^delete key \(operation 5, client 1 on node1\) was acknowledged with 4-node1-/)
  })

  it("breaks when the same version is acknowledged again", () => {
    assert.deepStrictEqual(shown(orderedAck(run([put("a", [1, 2], 5), put("b", [3, 4], 5)]))), [[1, 3]])
  })

  it("orders equal counters by node", () => {
    const later = put("b", [3, 4], 5, { outcome: { _tag: "Ok", version: at(5, "node2"), value: "b" } })
    assert.deepStrictEqual(orderedAck(run([put("a", [1, 2], 5), later])), [])
    const earlier = { ...later, id: 0, began: -1, ended: 0 }
    assert.deepStrictEqual(shown(orderedAck(run([put("a", [1, 2], 5), earlier]))), [[0, 1]])
  })

  it("holds between writes whose quorums need not share a replica, and breaks as soon as they must", () => {
    const one = put("a", [1, 2], 5, { quorum: 1 })
    assert.deepStrictEqual(orderedAck(run([one, put("b", [3, 4], 4)])), [])
    assert.deepStrictEqual(shown(orderedAck(run([one, put("b", [3, 4], 4, { quorum: 3 })]))), [[1, 3]])
    assert.deepStrictEqual(
      shown(orderedAck(run([put("a", [1, 2], 5, { quorum: 3 }), put("b", [3, 4], 4, { quorum: 1 })]))),
      [
        [1, 3]
      ]
    )
  })

  it("finds a newer write behind a later one of a larger quorum", () => {
    const history = [put("a", [1, 2], 9), put("b", [3, 4], 5, { quorum: 3 }), put("c", [5, 6], 8)]
    assert.deepStrictEqual(shown(orderedAck(run(history))), [[1, 3], [1, 5]])
  })

  it("asks nothing of a write whose only copy may be destroyed", () => {
    const history = [put("a", [1, 2], 5, { quorum: 1 }), put("b", [30, 31], 4, { quorum: 3 })]
    const lost = (fromSeconds: number) => [disturbance(["node1"], fromSeconds, fromSeconds + 1, "lost-disk")]
    assert.deepStrictEqual(orderedAck(run(history, { disturbances: lost(10) })), [])
    assert.lengthOf(orderedAck(run(history, { disturbances: lost(-0.5) })), 1)
    assert.lengthOf(orderedAck(run([put("a", [1, 2], 5), history[1]!], { disturbances: lost(10) })), 1)
  })
})
