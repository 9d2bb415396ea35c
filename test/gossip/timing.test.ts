/** When one node, by itself on the test's clock, speaks, and when it gives another up. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { LamportClock } from "../../src/clock/LamportClock.ts"
import { ClusterConfig } from "../../src/config/ClusterConfig.ts"
import { NodeConfig } from "../../src/config/NodeConfig.ts"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import { Identity } from "../../src/disk/Identity.ts"
import { Gossip } from "../../src/gossip/Gossip.ts"
import { Metrics } from "../../src/observability/Metrics.ts"
import { PeerClient } from "../../src/peer/PeerClient.ts"
import { PeerFailed } from "../../src/peer/PeerError.ts"
import { protocolVersion } from "../../src/peer/PeerProtocol.ts"
import { messageFrom, stranger } from "./messages.ts"

const refused = Effect.fail(
  new PeerFailed({ peer: stranger.nodeId, reason: "unreachable", detail: "connection refused" })
)

/** A node that has just heard of a peer, whose side of every message is the test's. */
const node = Effect.fnUntraced(function*(peer: Partial<PeerClient["Service"]>) {
  const context = yield* Layer.build(Gossip.layer.pipe(
    Layer.provide([
      Layer.mock(PeerClient, peer),
      Layer.mock(LamportClock, { observe: () => true, current: () => 0 }),
      Identity.layer,
      Metrics.layer
    ]),
    Layer.provide([DiskMemory.layer, NodeConfig.layerTest(), ClusterConfig.layerTest({ partitions: 128 })])
  ))
  const gossip = Context.get(context, Gossip)
  yield* gossip.receive(messageFrom(stranger))
  const liveness = () => gossip.liveness(stranger.nodeId)
  return { gossip, liveness }
})

describe("Gossip, on the test's clock", () => {
  it.effect("speaks every two seconds, give or take a tenth", () =>
    Effect.gen(function*() {
      let rounds = 0
      yield* node({
        gossip: (_, { digests }) =>
          Effect.sync(() => {
            if (digests.length > 0) rounds++
            return { protocol: protocolVersion, records: [], wanted: [] }
          }),
        probe: () => Effect.succeed(true)
      })
      yield* TestClock.adjust("200 seconds")
      assert.isAtLeast(rounds, 200 / 2.2)
      assert.isAtMost(rounds, 1 + 200 / 1.8)
    }))

  it.effect("a member whose process is gone is suspect as soon as a message to it fails, and down at ten seconds", () =>
    Effect.gen(function*() {
      const { gossip, liveness } = yield* node({ gossip: () => refused, probe: () => refused })
      assert.strictEqual(liveness(), "up")
      yield* TestClock.adjust("3.2 seconds")
      assert.strictEqual(liveness(), "suspect")
      yield* TestClock.adjust("6.7 seconds")
      assert.strictEqual(liveness(), "suspect")
      yield* TestClock.adjust("0.3 seconds")
      assert.strictEqual(liveness(), "down")
      yield* gossip.receive(messageFrom({ ...stranger, heartbeat: 2 }))
      assert.strictEqual(liveness(), "up")
    }))

  it.effect("a member that only falls silent is probed at three seconds, suspect a second later, and down at ten", () =>
    Effect.gen(function*() {
      let probes = 0
      const { liveness } = yield* node({
        gossip: () => Effect.succeed({ protocol: protocolVersion, records: [], wanted: [] }),
        probe: () =>
          Effect.suspend(() => {
            probes++
            return Effect.never
          })
      })
      yield* TestClock.adjust("2.9 seconds")
      assert.strictEqual(probes, 0)
      yield* TestClock.adjust("0.3 seconds")
      assert.deepStrictEqual([probes, liveness()], [1, "up"])
      yield* TestClock.adjust("1.1 seconds")
      assert.strictEqual(liveness(), "suspect")
      yield* TestClock.adjust("5.6 seconds")
      assert.strictEqual(liveness(), "suspect")
      yield* TestClock.adjust("0.3 seconds")
      assert.strictEqual(liveness(), "down")
    }))
})
