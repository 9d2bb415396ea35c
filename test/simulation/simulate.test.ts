/** A few seeds of every kind, so that the unit tests notice a broken store or a broken simulator at once. */
import { assert, describe, it } from "@effect/vitest"
import { type FaultKind, faultKinds } from "../../src/simulation/Schedule.ts"
import type { Options } from "../../src/simulation/simulate.ts"
import { judge } from "../../src/simulation/verdict.ts"

const options = (seed: number, more: Partial<Options> = {}): Options => ({
  seed,
  nodes: 5,
  minutes: 0.5,
  kinds: faultKinds,
  ...more
})

const clockKinds: ReadonlyArray<FaultKind> = ["clock-jump", "kill", "isolate"]

const keepsEveryPromise = (given: Options) => {
  const { broken } = judge(given)
  assert.deepStrictEqual(broken.map(({ detail, promise }) => `${promise}: ${detail}`), [], `seed ${given.seed}`)
}

/** Schedules that broke a promise once, and do again without the fix. `docs/simulation.md` tells the stories. */
const found: ReadonlyArray<{ readonly what: string; readonly options: Options }> = [
  {
    what: "a wall clock set back made a node refuse every newer cell",
    options: options(19, { minutes: 1, kinds: clockKinds, keep: [4] })
  },
  {
    what: "a wall clock set back put off the comparisons of a node by a day",
    options: options(46, { minutes: 1, kinds: clockKinds, keep: [0, 1] })
  },
  {
    what: "a node answered for records of its log that a kill had left unsynced, and lost them with the power",
    options: options(858, { minutes: 1, keep: [2, 3, 4] })
  }
]

describe("a simulated cluster", () => {
  it("runs the same way twice", () => {
    for (const seed of [1, 2]) {
      const first = judge(options(seed))
      const second = judge(options(seed))
      assert.strictEqual(first.traceHash, second.traceHash, `seed ${seed}`)
      assert.notStrictEqual(first.traceHash, judge(options(seed + 100)).traceHash)
    }
  })

  for (const kind of faultKinds) {
    it(`keeps every promise under ${kind}`, () => {
      keepsEveryPromise(options(1000 + faultKinds.indexOf(kind), { kinds: [kind] }))
    })
  }

  for (const { options: given, what } of found) {
    it(`no longer breaks: ${what} (seed ${given.seed})`, () => {
      keepsEveryPromise(given)
    })
  }

  it("keeps every promise with three nodes, where each holds every key", () => {
    for (const seed of [7, 8]) keepsEveryPromise(options(seed, { nodes: 3 }))
  })

  it("does what the schedule says: without faults nothing is lost and nobody fails", () => {
    const { broken, figures } = judge(options(3, { keep: [] }))
    assert.deepStrictEqual([broken, figures?.faults, figures?.messages.lost], [[], {}, 0])
    assert.isAbove(figures!.acknowledged, 0.9 * figures!.operations)
  })
})
