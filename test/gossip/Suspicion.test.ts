import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import * as Suspicion from "../../src/gossip/Suspicion.ts"

const timing = Suspicion.timingOf(Duration.seconds(2))
const heardAtZero = Suspicion.initial(0)

/** A probe that began at `startedAtMillis` and ended without an answer. */
const failedProbe = (opinion: Suspicion.Opinion, startedAtMillis: number, endedAtMillis = startedAtMillis + 1000) =>
  Suspicion.probed(Suspicion.probing(opinion, startedAtMillis), false, endedAtMillis, timing)

describe("Suspicion", () => {
  it("probes a member after three seconds of silence, not before", () => {
    assert.isFalse(Suspicion.needsProbe(heardAtZero, 2_999, timing))
    assert.isTrue(Suspicion.needsProbe(heardAtZero, 3_000, timing))
  })

  it("stretches with the gossip interval", () => {
    const slow = Suspicion.timingOf(Duration.seconds(4))
    assert.isFalse(Suspicion.needsProbe(heardAtZero, 5_999, slow))
    assert.isTrue(Suspicion.needsProbe(heardAtZero, 6_000, slow))
    assert.strictEqual(slow.downAfterMillis, 20_000)
  })

  it("has one probe of a member at a time, and at most one a second", () => {
    const probing = Suspicion.probing(heardAtZero, 3_000)
    assert.isFalse(Suspicion.mayProbe(probing, 60_000, timing))
    const ended = Suspicion.probed(probing, false, 3_100, timing)
    assert.isFalse(Suspicion.mayProbe(ended, 3_999, timing))
    assert.isTrue(Suspicion.mayProbe(ended, 4_000, timing))
  })

  it("suspects a member whose probe failed, and only that", () => {
    assert.strictEqual(Suspicion.aged(heardAtZero, 60_000, timing).liveness, "up")
    assert.strictEqual(failedProbe(heardAtZero, 3_000).liveness, "suspect")
  })

  it("takes news that came during the probe for an answer", () => {
    const probing = Suspicion.probing(heardAtZero, 3_000)
    const news = Suspicion.heard(probing, 3_500)
    assert.strictEqual(Suspicion.probed(news, false, 4_000, timing).liveness, "up")
  })

  it("takes an answer for news", () => {
    const suspect = failedProbe(heardAtZero, 3_000)
    const answered = Suspicion.probed(Suspicion.probing(suspect, 4_000), true, 4_200, timing)
    assert.deepStrictEqual([answered.liveness, answered.heardAtMillis, answered.probing], ["up", 4_200, false])
  })

  it("ignores the failure of a probe that ended later than it can, since this node stood still", () => {
    assert.strictEqual(failedProbe(heardAtZero, 3_000, 4_100).liveness, "suspect")
    assert.strictEqual(failedProbe(heardAtZero, 3_000, 4_101).liveness, "up")
  })

  it("holds a suspect for down ten seconds after the last news, not before", () => {
    const suspect = failedProbe(heardAtZero, 3_000)
    assert.strictEqual(Suspicion.aged(suspect, 9_999, timing).liveness, "suspect")
    assert.strictEqual(Suspicion.aged(suspect, 10_000, timing).liveness, "down")
  })

  it("leaves a member down until there is news, and does not probe it", () => {
    const down = Suspicion.aged(failedProbe(heardAtZero, 3_000), 10_000, timing)
    assert.isFalse(Suspicion.mayProbe(down, 60_000, timing))
    assert.strictEqual(failedProbe(down, 12_000).liveness, "down")
    assert.strictEqual(Suspicion.heard(down, 12_000).liveness, "up")
  })

  it("measures how late a look is, beyond the tolerance for a busy loop", () => {
    assert.strictEqual(Suspicion.lag(1_000, 1_300, timing), 0)
    assert.strictEqual(Suspicion.lag(1_000, 1_301, timing), 101)
    assert.strictEqual(Suspicion.lag(1_000, 31_200, timing), 30_000)
    assert.strictEqual(Suspicion.lag(61_000, 1_200, timing), -60_000)
  })

  it("takes the time in which this node stood still out of the silence, but never into the future", () => {
    assert.strictEqual(Suspicion.shift(heardAtZero, 30_000, 31_000).heardAtMillis, 30_000)
    assert.strictEqual(Suspicion.shift(Suspicion.initial(30_500), 30_000, 31_000).heardAtMillis, 31_000)
  })
})
