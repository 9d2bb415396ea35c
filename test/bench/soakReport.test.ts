import { assert, describe, it } from "@effect/vitest"
import * as metricsPage from "../../bench/metricsPage.ts"
import { chart, lineOf, type Operations, render, type Sample, verdicts } from "../../bench/soakReport.ts"

const mebibyte = 1024 * 1024
const quiet: Operations = { requests: 150, perSecond: 10, p99Millis: 2, maxMillis: 3, failures: 0 }

const sample = (seconds: number, residentMebibytes: number, write: Partial<Operations> = {}): Sample => ({
  seconds,
  nodes: [{
    residentBytes: residentMebibytes * mebibyte,
    heapUsedBytes: 80 * mebibyte,
    heapCommittedBytes: undefined,
    arrayBufferBytes: 40 * mebibyte
  }],
  diskBytes: 100 * mebibyte,
  write: { ...quiet, ...write },
  read: quiet,
  cpuMicros: 123.4,
  diskSyncMaxMillis: 5.6
})

describe("soakReport", () => {
  it("says what a node held at five minutes and in the last one, by medians, and at most", () => {
    const samples = [
      sample(15, 150),
      ...[285, 300, 315].map((seconds, index) => sample(seconds, [400, 200, 201][index]!)),
      sample(331, 900),
      ...[550, 565, 580].map((seconds, index) => sample(seconds, [220, 210, 500][index]!))
    ]
    assert.deepStrictEqual(verdicts(samples), [{
      node: 1,
      atFiveMinutesBytes: 201 * mebibyte,
      atTheEndBytes: 220 * mebibyte,
      highestBytes: 900 * mebibyte
    }])
    assert.isUndefined(verdicts([sample(15, 150)])[0]!.atFiveMinutesBytes)
    assert.deepStrictEqual(verdicts([]), [])
  })

  it("adds up requests and failures and keeps the slowest", () => {
    const text = render([sample(15, 150, { maxMillis: 770.4, failures: 2 }), sample(30, 150)])
    assert.include(text, "300 writes, the slowest 770 ms, 2 failed")
    assert.include(text, "300 reads, the slowest 3 ms, 0 failed")
    assert.include(text, "on the same disk, beside the nodes: 6 ms")
  })

  it("shows in a line what an older node does not tell as a dash, and failures aloud", () => {
    const line = lineOf(sample(75.4, 150, { failures: 1 }))
    assert.include(line, " 1:15  150 (80/- + 40)")
    assert.include(line, "put 10/s p99 2.0 max 3 ms FAILED 1")
    assert.include(line, "cpu 123 us")
    assert.include(line, "disk 100 MiB, sync max 6 ms")
  })

  it("draws each series by its number from zero up, and a star where two meet", () => {
    const lines = chart([[120, 60, 0], [0, 60, 60]], "MiB").split("\n")
    assert.strictEqual(lines.length, 12)
    assert.strictEqual(lines[0], "   120 MiB |1")
    assert.strictEqual(lines[5], "    70 MiB | *2")
    assert.strictEqual(lines[11], "    10 MiB |2 1")
  })
})

describe("metricsPage", () => {
  const page = "# HELP a_count of things\na_count{x=\"1\"} 2\na_count{x=\"2\"} 3e1\nb_count 4\nc_sum 5\n"

  it("adds up all that match over their labels", () => {
    assert.strictEqual(metricsPage.sum(page, /_count$/), 36)
    assert.strictEqual(metricsPage.sum(page, /none/), 0)
  })

  it("finds one by name and label, and tells nothing of what is not there", () => {
    assert.strictEqual(metricsPage.value(page, "a_count", `x="2"`), 30)
    assert.strictEqual(metricsPage.value(page, "c_sum"), 5)
    assert.isUndefined(metricsPage.value(page, "a_count", `x="3"`))
  })
})
