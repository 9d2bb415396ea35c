import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Output } from "../../src/cli/Output.ts"
import * as Tally from "../../src/cli/Tally.ts"

const tallyOf = (overrides: Partial<Tally.Tally>) => Object.assign(Tally.make("import"), overrides)

describe("Tally", () => {
  it("shows a bar, the rate, the time left and the errors by kind", () => {
    const tally = tallyOf({ done: 26_812, failed: 1, retried: 12, fraction: 0.42 })
    Tally.countError(tally, "503 WriteQuorumFailed")
    for (let times = 0; times < 11; times++) Tally.countError(tally, "ECONNREFUSED")
    assert.strictEqual(
      Tally.lineOf(tally, 42, 5230.4, true),
      "import  ████████░░░░░░░░░░░░  42 %  26,812 records  5,230/s  0:58 left  12 retried  1 failed  " +
        "(ECONNREFUSED 11, 503 WriteQuorumFailed 1)"
    )
  })

  it("shows no share and no time left when the size of the work is not known", () => {
    assert.strictEqual(Tally.lineOf(tallyOf({ done: 5 }), 1, 5, true), "import  5 records  5/s")
  })

  it("sums up for people", () => {
    const tally = tallyOf({ done: 63_666, retried: 20 })
    assert.strictEqual(
      Tally.summaryText(tally, "imported", 14),
      "imported 63,666 records in 0:14 (4,548/s); 20 retried, 0 failed"
    )
    Tally.countError(tally, "timeout")
    assert.include(Tally.summaryText(tally, "imported", 14), "; errors: timeout 1")
  })

  it("sums up for programs", () => {
    const tally = tallyOf({ done: 10, failed: 2, retried: 3 })
    Tally.countError(tally, "absent")
    assert.deepStrictEqual(Tally.summarize(tally, 4), {
      records: 10,
      failed: 2,
      retried: 3,
      seconds: 4,
      recordsPerSecond: 2.5,
      errors: { absent: 1 }
    })
    assert.strictEqual(Tally.summarize(tally, 0).recordsPerSecond, 0)
  })

  it("writes times as a clock does", () => {
    assert.deepStrictEqual([-1, 0, 6.2, 61, 3723].map(Tally.clockTime), ["0:00", "0:00", "0:07", "1:01", "1:02:03"])
  })

  const work = (tally: Tally.Tally) =>
    Effect.gen(function*() {
      for (let second = 1; second <= 12; second++) {
        yield* Effect.sleep("1 second")
        tally.done += 100
        tally.fraction = second / 12
      }
      return "done"
    })

  const watched = (isTerminal: boolean, quiet: boolean) =>
    Effect.gen(function*() {
      const written = { result: "", notice: "" }
      const tally = Tally.make("import")
      const fiber = yield* Effect.forkChild(
        Effect.provide(Tally.during(tally, quiet, work(tally)), Output.layerMemory(written, isTerminal))
      )
      yield* TestClock.adjust("13 seconds")
      const { result, seconds } = yield* Fiber.join(fiber)
      assert.strictEqual(result, "done")
      assert.strictEqual(seconds, 12)
      return written.notice
    })

  it.effect("writes a plain line every five seconds to a log", () =>
    Effect.gen(function*() {
      const lines = (yield* watched(false, false)).split("\n")
      assert.strictEqual(lines.length, 3)
      assert.match(lines[0]!, /^import {2}\d+ % {2}[45]00 records {2}(80|100)\/s/)
    }))

  it.effect("redraws one line on a terminal and clears it at the end", () =>
    Effect.gen(function*() {
      const notice = yield* watched(true, false)
      assert.notInclude(notice, "\n")
      assert.isAtLeast(notice.split("\r\x1b[K").length, 50)
      assert.isTrue(notice.endsWith("\r\x1b[K"))
    }))

  it.effect("says nothing when it is to be quiet", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* watched(true, true), "")
    }))
})
