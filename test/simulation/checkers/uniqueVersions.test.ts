import { assert, describe, it } from "@effect/vitest"
import { uniqueVersions } from "../../../src/simulation/checkers/uniqueVersions.ts"
import { at, get, put, refusedPut, remove, run, shown, unknownPut } from "./histories.ts"

describe("unique-versions", () => {
  it("holds when acknowledged writes differ in counter or node, and reads repeat them", () => {
    const elsewhere = put("c", [7, 8], 1, { outcome: { _tag: "Ok", version: at(1, "node2"), value: "c" } })
    const history = [put("a", [1, 2], 1), get([3, 4], 1, "a"), get([5, 6]), elsewhere, remove([9, 10], 2)]
    assert.deepStrictEqual(uniqueVersions(run([...history, unknownPut("d", [1, 9]), refusedPut("e", [1, 9])])), [])
  })

  it("breaks when two writes share a version, also of two keys", () => {
    assert.deepStrictEqual(shown(uniqueVersions(run([put("a", [1, 2], 1), remove([3, 4], 1)]))), [[1, 3]])
    const violations = uniqueVersions(run([put("a", [1, 2], 1), put("b", [3, 4], 1, { key: "other" })]))
    assert.deepStrictEqual(shown(violations), [[1, 3]])
    assert.include(violations[0]!.detail, "were both acknowledged with 1-node1-0123456789ab")
  })

  it("breaks when a write is acknowledged without a version", () => {
    const write = put("a", [1, 2], 1, { outcome: { _tag: "Ok", version: undefined, value: "a" } })
    assert.deepStrictEqual(shown(uniqueVersions(run([write]))), [[1]])
  })

  it("breaks on every alarm", () => {
    const alarms = [{ node: "node2", atMillis: 70, text: "two cells of one version" }]
    assert.deepStrictEqual(uniqueVersions(run([], { alarms })), [
      {
        promise: "unique-versions",
        detail: "node2 raised an alarm at 70 ms: two cells of one version",
        operations: []
      }
    ])
  })
})
