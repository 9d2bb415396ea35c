import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as Probe from "../../src/gossip/Probe.ts"
import * as Suspicion from "../../src/gossip/Suspicion.ts"
import { PeerClient } from "../../src/peer/PeerClient.ts"
import { PeerFailed } from "../../src/peer/PeerError.ts"

const timing = Suspicion.timingOf(Duration.seconds(2))
const target = "target:1"
const relays = ["relay1:1", "relay2:1", "relay3:1"]

const refused = Effect.fail(new PeerFailed({ peer: target, reason: "unreachable", detail: "connection refused" }))
const after = (millis: number, reached: boolean) => Effect.delay(Effect.succeed(reached), millis)

/** The result of a probe with scripted answers, the time that it took, and the addresses that were asked. */
const probing = (answers: Readonly<Record<string, Effect.Effect<boolean, PeerFailed>>>) =>
  Effect.gen(function*() {
    const asked: Array<string> = []
    const client = yield* PeerClient.pipe(
      Effect.provide(
        Layer.mock(PeerClient, {
          probe: (address, about) => {
            asked.push(address)
            assert.strictEqual(about, target)
            return answers[address] ?? Effect.never
          }
        })
      )
    )
    const timed = Effect.gen(function*() {
      const reached = yield* Probe.reaches(client, target, relays, timing)
      return { reached, atMillis: yield* Clock.currentTimeMillis, asked }
    })
    const fiber = yield* Effect.forkChild(timed)
    yield* TestClock.adjust("10 seconds")
    return yield* Fiber.join(fiber)
  })

describe("Probe", () => {
  const everybody = [target, ...relays]
  it.effect.each<readonly [rule: string, answers: Parameters<typeof probing>[0], result: unknown]>([
    [
      "asks nobody else when the member answers soon",
      { [target]: after(399, true) },
      { reached: true, atMillis: 399, asked: [target] }
    ],
    [
      "asks the others at once when the member refuses, and believes the first that reaches it",
      { [target]: refused, "relay1:1": after(10, false), "relay2:1": after(50, true) },
      { reached: true, atMillis: 50, asked: everybody }
    ],
    [
      "asks the others when the member has been silent for a while, and still takes its late answer",
      { [target]: after(700, true) },
      { reached: true, atMillis: 700, asked: everybody }
    ],
    [
      "ends when everybody has failed, without waiting longer",
      { [target]: refused, "relay1:1": after(5, false), "relay2:1": refused, "relay3:1": after(20, false) },
      { reached: false, atMillis: 20, asked: everybody }
    ],
    ["ends after a second when nobody answers at all", {}, { reached: false, atMillis: 1_000, asked: everybody }]
  ])("%s", ([, answers, result]) =>
    Effect.gen(function*() {
      assert.deepStrictEqual<unknown>(yield* probing(answers), result)
    }))
})
