import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { NodeId } from "../../src/domain/NodeId.ts"

const isNodeId = Schema.is(NodeId)

describe("NodeId", () => {
  it("takes letters, digits, dots, dashes and underscores", () => {
    for (const text of ["a", "7", "node1", "node-1", "eu-west.rack_3", "N", "a-", "a".repeat(63)]) {
      assert.isTrue(isNodeId(text), text)
    }
  })

  it("refuses what would need escaping in a path, a header or a URL, or hide a file", () => {
    for (const text of ["", "-a", ".a", "..", "_a", "a/b", "a b", "a\n", "a%", "é", "a".repeat(64), "a:1"]) {
      assert.isFalse(isNodeId(text), JSON.stringify(text))
    }
  })

  it("says what a node id looks like", () => {
    const result = Schema.decodeUnknownResult(NodeId)("a/b")
    assert.isTrue(result._tag === "Failure" && String(result.failure).includes("1 to 63 letters, digits, dots, dashes"))
  })
})
