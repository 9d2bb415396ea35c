import { assert, describe, it } from "@effect/vitest"
import * as Metrics from "../../src/observability/Metrics.ts"

const valueOf = (text: string, series: string): number => {
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${series} `))
  return line === undefined ? 0 : Number(line.slice(series.length + 1))
}

describe("metrics", () => {
  it("count requests by operation and outcome, and time them in seconds", () => {
    const ok = `rondo_requests_total{operation="put",outcome="ok"}`
    const sum = `rondo_request_duration_seconds_sum{operation="put"}`
    const before = Metrics.render(() => {})
    Metrics.requestEnded("put", "ok", 1_500_000_000n)
    Metrics.requestEnded("put", "quorum-failed", 0n)
    const after = Metrics.render(() => {})
    assert.strictEqual(valueOf(after, ok) - valueOf(before, ok), 1)
    assert.strictEqual(valueOf(after, sum) - valueOf(before, sum), 1.5)
  })

  const updates: ReadonlyArray<readonly [series: string, update: () => void, by: number]> = [
    ["rondo_superseded_writes_total", Metrics.writeSuperseded, 1],
    ["rondo_hedged_reads_total", Metrics.readHedged, 1],
    ["rondo_gossip_rounds_total", Metrics.gossipRoundBegan, 1],
    ["rondo_replication_batch_cells_sum", () => Metrics.batchSent(32), 32],
    ["rondo_log_sync_duration_seconds_sum", () => Metrics.logSynced(0.25), 0.25],
    ["rondo_compaction_duration_seconds_count", () => Metrics.compacted(2), 1]
  ]
  it.each(updates)("%s grows where it happens", (series, update, by) => {
    const before = valueOf(Metrics.render(() => {}), series)
    update()
    assert.strictEqual(valueOf(Metrics.render(() => {}), series) - before, by)
  })

  it("sample gauges at each scrape, so that what is gone is gone from the text", () => {
    const first = Metrics.render((sample) => sample(Metrics.sampled.hintsPending, 5, { peer: "node2" }))
    const second = Metrics.render((sample) => sample(Metrics.sampled.hintsPending, 6, { peer: "node3" }))
    assert.strictEqual(valueOf(first, `rondo_hints_pending{peer="node2"}`), 5)
    assert.strictEqual(valueOf(second, `rondo_hints_pending{peer="node3"}`), 6)
    assert.notInclude(second, "node2")
  })

  it("show a sampled total as it is, not added up over scrapes", () => {
    const scrape = () => Metrics.render((sample) => sample(Metrics.sampled.flushes, 7))
    scrape()
    assert.strictEqual(valueOf(scrape(), "rondo_flushes_total"), 7)
  })

  it("have names in the house style: prefix, unit, and _total for what only grows", () => {
    for (const { id, type } of Object.values(Metrics.sampled)) {
      assert.match(id, /^rondo_[a-z_]+$/)
      assert.strictEqual(type === "Counter", id.endsWith("_total"), id)
    }
  })
})
