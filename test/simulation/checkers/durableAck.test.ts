import { assert, describe, it } from "@effect/vitest"
import { durableAck } from "../../../src/simulation/checkers/durableAck.ts"
import {
  at,
  cell,
  disturbance,
  final,
  get,
  put,
  refusedPut,
  remove,
  run,
  shown,
  unknownPut,
  unknownRemove
} from "./histories.ts"

const written = [put("a", [1, 2], 1), put("b", [3, 4], 2)]

describe("durable-ack", () => {
  it("holds when every replica has the newest acknowledged write, or one of unknown outcome above it", () => {
    assert.deepStrictEqual(durableAck(run(written, { final: final(cell(2, "b")) })), [])
    const unsure = [...written, unknownPut("c", [0, 9])]
    assert.deepStrictEqual(durableAck(run(unsure, { final: final(cell(3, "c"), cell(2, "b"), cell(3, "c")) })), [])
    const open = [...written, { ...unknownPut("c", [0, 9]), outcome: undefined }]
    assert.deepStrictEqual(durableAck(run(open, { final: final(cell(3, "c")) })), [])
    const lateDelete = [...written, unknownRemove([0, 9])]
    assert.deepStrictEqual(durableAck(run(lateDelete, { final: final(cell(3)) })), [])
  })

  it("holds when a key was only read, or its writes were refused", () => {
    assert.deepStrictEqual(durableAck(run([get([1, 2]), refusedPut("a", [3, 4])], { final: final() })), [])
  })

  it("breaks when a replica has nothing, and names the lost writes, newest first", () => {
    const violations = durableAck(run(written, { final: final(cell(2, "b"), undefined, cell(2, "b")) }))
    assert.deepStrictEqual(shown(violations), [[3, 1]])
    assert.match(violations[0]!.detail, /^node2 ends with nothing, though put key = b .* and 1 more before$/)
  })

  it("breaks when a replica has an older write", () => {
    const violations = durableAck(run(written, { final: final(cell(2, "b"), cell(2, "b"), cell(1, "a")) }))
    assert.deepStrictEqual(shown(violations), [[3]])
    assert.match(violations[0]!.detail, /^node3 ends with value a at 1-node1-/)
  })

  it("breaks when a tombstone is gone, for none is ever purged", () => {
    assert.lengthOf(durableAck(run([remove([1, 2], 1)], { final: final() })), 3)
  })

  it("breaks when the acknowledged version holds another value, or none", () => {
    const value = durableAck(run(written, { final: final(cell(2, "b"), cell(2, "a"), cell(2, "b")) }))
    assert.deepStrictEqual(shown(value), [[3]])
    assert.include(value[0]!.detail, "made up: this version was acknowledged for the value b, operation 3")
    assert.lengthOf(durableAck(run(written, { final: final(cell(2), cell(2, "b"), cell(2, "b")) })), 1)
    const revived = durableAck(run([remove([1, 2], 1)], { final: final(cell(1, "a"), cell(1), cell(1)) }))
    assert.deepStrictEqual(shown(revived), [[1]])
  })

  it("breaks when any node holds what nobody wrote, what was refused, or a key that nobody touched", () => {
    const details = (operations: Parameters<typeof run>[0], held: ReturnType<typeof cell>) => {
      const state = { ...final(cell(2, "b"), cell(2, "b"), held), replicasOf: () => ["node1", "node2"] }
      return durableAck(run(operations, { final: state })).map(({ detail }) => detail.replace(/^.*made up: /, ""))
    }
    assert.deepStrictEqual(details(written, cell(3, "c")), ["nobody wrote this value to this key"])
    assert.deepStrictEqual(details(written, cell(3)), ["no delete of this key can have this version"])
    assert.deepStrictEqual(details([...written, refusedPut("c", [5, 6])], cell(3, "c")), [
      "its write was refused as not applied"
    ])
    assert.deepStrictEqual(details(written, cell(1, "b", "other")), ["nobody ever wrote to this key"])
  })

  it("breaks when nobody is to hold an acknowledged key", () => {
    const state = { ...final(cell(2, "b")), replicasOf: () => [] }
    assert.deepStrictEqual(shown(durableAck(run(written, { final: state }))), [[1, 3]])
  })

  it("asks nothing of a write that as many nodes held as lost their data since", () => {
    const one = [put("a", [5, 6], 1, { quorum: 1 })]
    const lost = (...names: ReadonlyArray<string>) => names.map((name) => disturbance([name], 4, 7, "lost-disk"))
    assert.deepStrictEqual(durableAck(run(one, { disturbances: lost("node1") })), [])
    assert.lengthOf(durableAck(run(one, { disturbances: [disturbance(["node1"], 4, 7, "power")] })), 3)
    const two = [put("a", [5, 6], 1)]
    assert.lengthOf(durableAck(run(two, { disturbances: lost("node1", "node1") })), 3)
    assert.deepStrictEqual(durableAck(run(two, { disturbances: lost("node1", "node2") })), [])
  })

  it("breaks when a replica that started again lacks what it had taken, though repair brought it back since", () => {
    const forgotten = [{ node: "node2", key: "key", promised: at(2), held: at(1), atMillis: 70 }]
    const violations = durableAck(run(written, { final: final(cell(2, "b")), forgotten }))
    assert.deepStrictEqual(shown(violations), [[]])
    assert.match(violations[0]!.detail, /^node2 had taken key with 2-.* at 70 ms held 1-/)
  })
})
