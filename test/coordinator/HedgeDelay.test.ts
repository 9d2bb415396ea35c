import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import * as HedgeDelay from "../../src/coordinator/HedgeDelay.ts"

const afterSamples = (samples: Iterable<number>) => {
  const delay = HedgeDelay.make()
  for (const millis of samples) delay.record(millis)
  return Duration.toMillis(delay.current())
}

const times = (count: number, millis: number) => Array.from({ length: count }, () => millis)

describe("HedgeDelay", () => {
  it("is generous until enough answers were measured", () => {
    assert.strictEqual(afterSamples([]), 50)
    assert.strictEqual(afterSamples(times(63, 7)), 50)
    assert.strictEqual(afterSamples(times(64, 7)), 7)
  })

  it("is the 99th percentile of recent answers", () => {
    assert.strictEqual(afterSamples(Array.from({ length: 512 }, (_, index) => index + 1)), 507)
    assert.strictEqual(afterSamples([...times(507, 10), ...times(5, 900)]), 10)
    assert.strictEqual(afterSamples([...times(506, 10), ...times(6, 900)]), 900)
  })

  it("sorts by size and not by text", () => {
    assert.strictEqual(afterSamples([...times(32, 9), ...times(32, 100)]), 100)
  })

  it("does not go below 2 ms, where a timer costs more than it saves", () => {
    assert.strictEqual(afterSamples(times(64, 0.2)), 2)
  })

  it("forgets what is older than the last 512 answers", () => {
    assert.strictEqual(afterSamples([...times(512, 900), ...times(448, 10)]), 900)
    assert.strictEqual(afterSamples([...times(512, 900), ...times(512, 10)]), 10)
  })
})
