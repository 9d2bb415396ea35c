import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { OpenApi } from "effect/http-api"
import { Api } from "../../src/api/Api.ts"
import { batchBytesMax, peerBodyBytesMax } from "../../src/peer/PeerApi.ts"
import { PeerFailed } from "../../src/peer/PeerError.ts"
import { GossipMessage } from "../../src/peer/PeerProtocol.ts"

describe("PeerApi", () => {
  it("has an error that says what is wrong in a sentence", () => {
    assert.strictEqual(
      new PeerFailed({ peer: "node2", reason: "timeout", detail: "no answer within 1s" }).message,
      "node2 timeout: no answer within 1s"
    )
  })

  it("asks every peer for the secret, at every endpoint", () => {
    const { paths } = OpenApi.fromApi(Api)
    const peerOperations = Object.entries(paths)
      .filter(([path]) => path.startsWith("/internal/") || path === "/gossip")
      .flatMap(([, operations]) => [operations.get, operations.post].filter((operation) => operation !== undefined))
    assert.isAtLeast(peerOperations.length, 7)
    for (const { security } of peerOperations) assert.isAtLeast(security?.length ?? 0, 1)
  })

  it("takes bodies in which the largest batch and one more value fit", () => {
    assert.isAtLeast(peerBodyBytesMax, 2 * batchBytesMax)
  })

  it("takes gossip with members that it does not know yet, and refuses other messages", () => {
    const record = {
      nodeId: "node1",
      incarnation: "9f86d081884c",
      generation: 1,
      heartbeat: 0,
      address: "127.0.0.1:8081",
      vnodes: 100,
      state: "up",
      counter: 0
    }
    const message = {
      protocol: 1,
      from: record,
      settings: { replicationFactor: 3, writeQuorum: 2, readQuorum: 2, partitions: 1024 },
      digests: [],
      records: [record],
      accused: [],
      later: true
    }
    const isGossip = Schema.is(GossipMessage)
    assert.isTrue(isGossip(message))
    assert.isFalse(isGossip({ ...message, from: { ...record, nodeId: "no/de" } }))
    assert.isFalse(isGossip({ ...message, from: { ...record, incarnation: "" } }))
    assert.isFalse(isGossip({ ...message, records: undefined }))
  })
})
