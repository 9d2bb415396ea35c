import { assert, describe, it } from "@effect/vitest"
import { availability, settleMillis } from "../../../src/simulation/checkers/availability.ts"
import { disturbance, get, notApplied, put, refusedPut, run, shown, unknown, unknownPut } from "./histories.ts"

const failing = refusedPut("a", [100, 101])
const settleSeconds = settleMillis / 1000

describe("availability", () => {
  it("holds when everything succeeds in time, whatever is disturbed", () => {
    const history = [put("a", [1, 7], 1), get([8, 9], 1, "a")]
    assert.deepStrictEqual(availability(run(history, { disturbances: [disturbance(["node2"], 0, Infinity)] })), [])
  })

  it("breaks when an operation fails while one other node is disturbed, or none", () => {
    const violations = availability(run([failing], { disturbances: [disturbance(["node2"], 90, 120)] }))
    assert.deepStrictEqual(shown(violations), [[100]])
    assert.include(
      violations[0]!.detail,
      "failed with WriteQuorumNotReached (by hand), though only node2 was disturbed"
    )
    assert.include(availability(run([failing]))[0]!.detail, "though only no node was disturbed")
    assert.lengthOf(availability(run([unknownPut("a", [100, 101])])), 1)
    assert.lengthOf(availability(run([{ ...get([100, 101]), outcome: notApplied("ReadQuorumNotReached") }])), 1)
    assert.lengthOf(availability(run([{ ...get([100, 101]), outcome: { _tag: "Defect", detail: "oops" } }])), 1)
  })

  it("breaks when several disturbances concern the same node only", () => {
    const disturbances = [disturbance(["node2"], 90, 100.5), disturbance(["node2"], 100, 130)]
    assert.lengthOf(availability(run([failing], { disturbances })), 1)
  })

  it("holds when two nodes are disturbed, by one disturbance or by two at any time of the operation", () => {
    assert.deepStrictEqual(
      availability(run([failing], { disturbances: [disturbance(["node2", "node3"], 90, 120)] })),
      []
    )
    const disturbances = [disturbance(["node2"], 90, 100), disturbance(["node3"], 101, 120)]
    assert.deepStrictEqual(availability(run([failing], { disturbances })), [])
  })

  it("holds when the coordinator is disturbed, until it has settled", () => {
    const until = (toSeconds: number) => [disturbance(["node1"], 50, toSeconds)]
    assert.deepStrictEqual(availability(run([failing], { disturbances: until(120) })), [])
    assert.deepStrictEqual(availability(run([failing], { disturbances: until(100 - settleSeconds) })), [])
    assert.lengthOf(availability(run([failing], { disturbances: until(99.9 - settleSeconds) })), 1)
  })

  it("does not excuse a failure with what happened after it", () => {
    assert.lengthOf(availability(run([failing], { disturbances: [disturbance(["node1"], 101.1, 120)] })), 1)
  })

  it("exempts clients that left, quorums other than two, and other replication factors", () => {
    const gone = { ...unknownPut("a", [1, 2]), outcome: unknown("ClientGone") }
    assert.deepStrictEqual(availability(run([gone, { ...failing, quorum: 3 }, { ...failing, quorum: 1 }])), [])
    assert.deepStrictEqual(availability(run([failing], { replicationFactor: 5 })), [])
  })

  it("breaks when an operation takes longer than its timeout and the slack, even if it succeeds", () => {
    const late = { ...put("a", [100, 106], 1), endedMillis: 106_001 }
    const violations = availability(run([late]))
    assert.deepStrictEqual(shown(violations), [[100]])
    assert.include(violations[0]!.detail, "took 6001 ms, though it has 5000 ms")
    assert.lengthOf(availability(run([late], { disturbances: [disturbance(["node2", "node3"], 0, 200)] })), 1)
    assert.deepStrictEqual(availability(run([late], { disturbances: [disturbance(["node1"], 103, 104)] })), [])
    assert.lengthOf(availability(run([late], { disturbances: [disturbance(["node1"], 90, 99)] })), 1)
  })

  it("breaks when an operation never ends, unless its coordinator was disturbed since", () => {
    const open = { ...get([100, 101]), outcome: undefined, endedMillis: 0 }
    assert.include(availability(run([open]))[0]!.detail, "never ended")
    assert.deepStrictEqual(availability(run([open], { disturbances: [disturbance(["node1"], 102, 104)] })), [])
  })
})
