import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { batchBytesMax, peerBodyBytesMax } from "../../src/peer/PeerApi.ts"
import { PeerFailed } from "../../src/peer/PeerError.ts"
import { GossipMessage } from "../../src/peer/PeerProtocol.ts"
import { message as gossipMessage, record } from "./PeerServer.ts"

describe("PeerApi", () => {
  it("has an error that says what is wrong in a sentence", () => {
    assert.strictEqual(
      new PeerFailed({ peer: "node2", reason: "timeout", detail: "no answer within 1s" }).message,
      "node2 timeout: no answer within 1s"
    )
  })

  it("takes bodies in which the largest batch and one more value fit", () => {
    assert.isAtLeast(peerBodyBytesMax, 2 * batchBytesMax)
  })

  it("takes gossip with members that it does not know yet, and refuses other messages", () => {
    const message = { ...gossipMessage, records: [record], later: true }
    const isGossip = Schema.is(GossipMessage)
    assert.isTrue(isGossip(message))
    assert.isFalse(isGossip({ ...message, from: { ...record, nodeId: "no/de" } }))
    assert.isFalse(isGossip({ ...message, from: { ...record, incarnation: "" } }))
    assert.isFalse(isGossip({ ...message, records: undefined }))
  })
})
