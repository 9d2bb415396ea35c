import { assert, describe, it } from "@effect/vitest"
import * as SeededRandom from "../../src/domain/SeededRandom.ts"
import * as Schedule from "../../src/simulation/Schedule.ts"

const draw = (seed: number, options: Partial<Schedule.ScheduleOptions> = {}) =>
  Schedule.draw(SeededRandom.make(seed), { nodes: 5, forMillis: 60_000, kinds: Schedule.faultKinds, ...options })

const seeds = Array.from({ length: 500 }, (_, seed) => seed)

describe("a schedule of faults", () => {
  it("is the same for the same seed, and another for another", () => {
    assert.deepStrictEqual(draw(1), draw(1))
    assert.notDeepEqual(draw(1), draw(2))
  })

  it("comes to every kind", () => {
    const kinds = new Set(seeds.flatMap((seed) => draw(seed).map(({ kind }) => kind)))
    assert.deepStrictEqual([...kinds].sort(), [...Schedule.faultKinds].sort())
  })

  it("destroys the data of one node at most, which is all that the store survives", () => {
    for (const seed of seeds) {
      const destroying = draw(seed).filter(({ kind }) => kind === "lost-disk" || kind === "bit-rot")
      assert.isAtMost(destroying.length, 1, `seed ${seed}`)
    }
  })

  it("keeps to the kinds, the nodes and the time that it was given", () => {
    for (const seed of seeds) {
      for (const fault of draw(seed, { nodes: 3, kinds: ["kill", "partition"] })) {
        assert.include(["kill", "partition"], fault.kind)
        assert.isTrue(fault.atMillis >= 0 && fault.atMillis < 60_000)
        assert.isTrue(fault.nodes.every((place) => place >= 0 && place < 3))
        assert.strictEqual(new Set(fault.nodes).size, fault.nodes.length)
      }
    }
  })
})
