import { assert, it } from "@effect/vitest"
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
import { protocolVersion } from "../../src/peer/PeerProtocol.ts"
import { messageFrom, stranger } from "./messages.ts"

/** Suspicion of a member that still answers gossip, but sends no news: in a cluster, failed messages come first. */
it.effect("a member that only falls silent is probed at three seconds, suspect a second later, and down at ten", () =>
  Effect.gen(function*() {
    let probes = 0
    const context = yield* Layer.build(Gossip.layer.pipe(
      Layer.provide([
        Layer.mock(PeerClient, {
          gossip: () => Effect.succeed({ protocol: protocolVersion, records: [], wanted: [] }),
          probe: () =>
            Effect.suspend(() => {
              probes++
              return Effect.never
            })
        }),
        Layer.mock(LamportClock, { observe: () => true, current: () => 0 }),
        Identity.layer,
        Metrics.layer
      ]),
      Layer.provide([DiskMemory.layer, NodeConfig.layerTest(), ClusterConfig.layerTest({ partitions: 128 })])
    ))
    const { liveness, receive } = Context.get(context, Gossip)
    yield* receive(messageFrom(stranger))
    for (
      const [pass, isProbed, livenessThen] of [
        ["2.9 seconds", false, "up"],
        ["0.3 seconds", true, "up"],
        ["1.1 seconds", true, "suspect"],
        ["5.6 seconds", true, "suspect"],
        ["0.3 seconds", true, "down"]
      ] as const
    ) {
      yield* TestClock.adjust(pass)
      assert.deepStrictEqual([probes > 0, liveness(stranger.nodeId)], [isProbed, livenessThen], pass)
    }
  }))
