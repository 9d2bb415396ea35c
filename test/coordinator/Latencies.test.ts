import { assert, describe, it } from "@effect/vitest"
import * as Latencies from "../../src/coordinator/Latencies.ts"
import { a, b, c } from "./requests.ts"

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

  it.each<readonly [rule: string, samples: ReadonlyArray<number>, hedgesAfterMillis: number]>([
    ["late until 64 answers were measured", [], 50],
    ["late until 64 answers were measured", times(63, 7), 50],
    ["late until 64 answers were measured", times(64, 7), 7],
    ["at the 99th percentile", Array.from({ length: 512 }, (_, index) => index + 1), 507],
    ["at the 99th percentile", [...times(507, 10), ...times(5, 900)], 10],
    ["at the 99th percentile", [...times(506, 10), ...times(6, 900)], 900],
    ["by size and not by text", [...times(32, 9), ...times(32, 100)], 100],
    ["not below 2 ms, where a timer costs more than it saves", times(64, 0.2), 2],
    ["by the last 512 answers", [...times(512, 900), ...times(448, 10)], 900],
    ["by the last 512 answers", [...times(512, 900), ...times(512, 10)], 10]
  ])("hedges %s (%#)", (_rule, samples, hedgesAfterMillis) => {
    const latencies = Latencies.make()
    for (const millis of samples) latencies.record(b, millis)
    assert.strictEqual(latencies.hedgeAfterMillis(), hedgesAfterMillis)
  })
})
