import { assert, describe, it } from "@effect/vitest"
import * as Latencies from "../../src/coordinator/Latencies.ts"
import { a, b, c } from "./requests.ts"

const afterSamples = (samples: Iterable<number>) => {
  const latencies = Latencies.make()
  for (const millis of samples) latencies.record(b, millis)
  return latencies.hedgeAfterMillis()
}

const times = (count: number, millis: number) => Array.from({ length: count }, () => millis)

describe("Latencies", () => {
  it("follows a change of speed slowly, so that one slow answer does not change the order", () => {
    const latencies = Latencies.make()
    latencies.record(b, 10)
    latencies.record(c, 20)
    latencies.record(b, 50)
    assert.isBelow(latencies.averageMillis(b), latencies.averageMillis(c))
    for (let read = 0; read < 10; read++) latencies.record(b, 50)
    assert.isAbove(latencies.averageMillis(b), latencies.averageMillis(c))
    assert.strictEqual(latencies.averageMillis(a), 0)
  })

  it("hedges late until enough answers were measured", () => {
    assert.strictEqual(afterSamples([]), 50)
    assert.strictEqual(afterSamples(times(63, 7)), 50)
    assert.strictEqual(afterSamples(times(64, 7)), 7)
  })

  it("hedges at the 99th percentile of recent answers", () => {
    assert.strictEqual(afterSamples(Array.from({ length: 512 }, (_, index) => index + 1)), 507)
    assert.strictEqual(afterSamples([...times(507, 10), ...times(5, 900)]), 10)
    assert.strictEqual(afterSamples([...times(506, 10), ...times(6, 900)]), 900)
  })

  it("sorts by size and not by text", () => {
    assert.strictEqual(afterSamples([...times(32, 9), ...times(32, 100)]), 100)
  })

  it("does not hedge below 2 ms, where a timer costs more than it saves", () => {
    assert.strictEqual(afterSamples(times(64, 0.2)), 2)
  })

  it("forgets what is older than the last 512 answers", () => {
    assert.strictEqual(afterSamples([...times(512, 900), ...times(448, 10)]), 900)
    assert.strictEqual(afterSamples([...times(512, 900), ...times(512, 10)]), 10)
  })
})
