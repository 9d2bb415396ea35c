import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { NodeId } from "../../src/domain/NodeId.ts"
import * as Version from "../../src/domain/Version.ts"
import { version } from "./arbitraries.ts"

const stamp = (counter: number, nodeId = "node1", incarnation = "9f86d081884c"): Version.Version => ({
  counter,
  nodeId: NodeId.make(nodeId),
  incarnation: Version.Incarnation.make(incarnation)
})

describe("Version", () => {
  it.prop("is what it was after being formatted and parsed", [version], ([version]) => {
    assert.deepStrictEqual(Version.parse(Version.format(version)), version)
  }, { arbitrary: { runs: 300 } })

  it("reads as the counter, the node and its incarnation", () => {
    assert.strictEqual(Version.format(stamp(51)), "51-node1-9f86d081884c")
  })

  it("finds the node's id even when it contains dashes and looks like an incarnation", () => {
    assert.deepStrictEqual(
      Version.parse("7-a-b-000000000000-9f86d081884c"),
      stamp(7, "a-b-000000000000")
    )
    assert.deepStrictEqual(Version.parse("7-1-2-9f86d081884c"), stamp(7, "1-2"))
  })

  it.prop("orders all versions totally", [version, version, version], ([a, b, c]) => {
    assert.strictEqual(Math.sign(Version.compare(a, b)), -Math.sign(Version.compare(b, a)) + 0)
    assert.strictEqual(Version.compare(a, b) === 0, Version.format(a) === Version.format(b))
    if (Version.compare(a, b) <= 0 && Version.compare(b, c) <= 0) assert.isAtMost(Version.compare(a, c), 0)
  }, { arbitrary: { runs: 1000 } })

  it("compares counters as numbers first, then node ids, then incarnations", () => {
    const ascending = [
      stamp(9, "z", "ffffffffffff"),
      stamp(10, "a", "ffffffffffff"),
      stamp(10, "b", "000000000000"),
      stamp(10, "b", "00000000000a")
    ]
    assert.deepStrictEqual(ascending.toReversed().toSorted(Version.compare), ascending)
  })

  it("counts up to 2^53 - 1 and no further", () => {
    assert.deepStrictEqual(Version.parse("9007199254740991-node1-9f86d081884c"), stamp(Version.counterMax))
    assert.isUndefined(Version.parse("9007199254740992-node1-9f86d081884c"))
    assert.isUndefined(Version.parse("9999999999999999-node1-9f86d081884c"))
    const isVersion = Schema.is(Version.Version)
    assert.isTrue(isVersion(stamp(Version.counterMax)))
    assert.isTrue(isVersion(stamp(1)))
    for (const counter of [0, -1, 1.5, Number.NaN, Version.counterMax + 1]) assert.isFalse(isVersion(stamp(counter)))
  })

  it.each([
    "",
    "51",
    "51-node1",
    "51--9f86d081884c",
    "0-node1-9f86d081884c",
    "051-node1-9f86d081884c",
    "-51-node1-9f86d081884c",
    "+51-node1-9f86d081884c",
    "5e1-node1-9f86d081884c",
    "51-node1-9F86D081884C",
    "51-node1-9f86d081884",
    "51-node1-9f86d081884c0",
    "51-node1-9f86d081884c\n",
    " 51-node1-9f86d081884c",
    "51-no/de-9f86d081884c",
    "51-.node-9f86d081884c",
    `51-${"n".repeat(64)}-9f86d081884c`
  ])("does not take %j for a version", (junk) => assert.isUndefined(Version.parse(junk)))
})
