import { assert, describe, it } from "@effect/vitest"
import * as Load from "../../bench/storage/Load.ts"

const drain = (load: Load.Load): Array<string> => {
  const keys: Array<string> = []
  for (let key = load.next(); key !== undefined; key = load.next()) keys.push(key)
  return keys
}

describe("Load", () => {
  it("hands out as many keys as it was told, in order, then none to any loop", () => {
    const load = Load.make("get", 2, (sequence) => `key ${sequence}`, { count: 3 }, Load.recording())
    assert.deepStrictEqual(drain(load), ["key 0", "key 1", "key 2"])
    assert.isUndefined(load.next())
  })

  it("ends by time with the first answer at its end, and not before", () => {
    let now = 1000
    const load = Load.make("get", 1, () => "key", { millis: 50 }, Load.recording(), () => now)
    now = 1049
    load.answered(1000, 1)
    assert.strictEqual(load.next(), "key")
    now = 1050
    load.answered(1000, 1)
    assert.isUndefined(load.next())
  })

  it("adds up operations, cells and latencies over all rounds of a recording", () => {
    const into = Load.recording()
    for (const [cells, millis] of [[100, 2], [40, 5]] as const) {
      Load.make("scan", 1, () => "key", {}, into, () => millis).answered(0, cells)
      into.millis += 500
      into.cpuMillis += 600
      into.othersMillis += 100
    }
    assert.strictEqual(into.cells, 140)
    const { p50Micros, ...others } = Load.figures(into, 2)
    assert.deepStrictEqual(others, {
      cpuMicros: 600_000,
      othersShare: 0.1,
      maxMicros: 5000,
      operations: 2,
      p99Micros: 5000,
      perSecond: 2,
      seconds: 1
    })
    assert.isAtLeast(p50Micros, 2000)
    assert.isAtMost(p50Micros, 2016)
  })

  it("has no rate before any time has passed", () => {
    assert.strictEqual(Load.figures(Load.recording(), 2).perSecond, 0)
  })
})
