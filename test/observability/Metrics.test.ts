import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Metrics from "../../src/observability/Metrics.ts"
import { TestCluster } from "../../src/simulation/TestCluster.ts"

const valueOf = (text: string, series: string): number => {
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${series} `))
  return line === undefined ? 0 : Number(line.slice(series.length + 1))
}

describe("metrics", () => {
  it("count requests by operation and outcome, and time them in seconds", () => {
    const metrics = Metrics.make()
    metrics.requestEnded("put", "ok", 1_500_000_000n)
    metrics.requestEnded("put", "quorum-failed", 0n)
    const text = metrics.render(() => {})
    assert.strictEqual(valueOf(text, `rondo_requests_total{operation="put",outcome="ok"}`), 1)
    assert.strictEqual(valueOf(text, `rondo_request_duration_seconds_sum{operation="put"}`), 1.5)
  })

  const updates: ReadonlyArray<readonly [series: string, update: (metrics: Service) => void, by: number]> = [
    ["rondo_superseded_writes_total", (metrics) => metrics.writeSuperseded(), 1],
    ["rondo_hedged_reads_total", (metrics) => metrics.readHedged(), 1],
    ["rondo_gossip_rounds_total", (metrics) => metrics.gossipRoundBegan(), 1],
    ["rondo_replication_batch_cells_sum", (metrics) => metrics.batchSent(32), 32],
    ["rondo_log_sync_duration_seconds_sum", (metrics) => metrics.logSynced(0.25), 0.25],
    ["rondo_compaction_duration_seconds_count", (metrics) => metrics.compacted(2), 1]
  ]
  it.each(updates)("%s grows where it happens, and in no other registry", (series, update, by) => {
    const [one, other] = [Metrics.make(), Metrics.make()]
    for (const metrics of [one, other, one]) update(metrics)
    assert.strictEqual(valueOf(one.render(() => {}), series), 2 * by)
    assert.strictEqual(valueOf(other.render(() => {}), series), by)
  })

  it("belong to a node: nodes in one process count their own syncs alone", () => {
    const { nodes } = TestCluster.started({ nodes: 3, seed: 1 })
    for (const count of [1, 2, 3]) nodes[0]!.put(`k${count}`, "v", { w: 3 })
    for (const node of nodes) {
      const text = node.run(Effect.map(Metrics.Metrics, ({ render }) => render(() => {})))
      const { syncs } = node.run(node.storage.stats)
      assert.isAbove(syncs, 0)
      assert.strictEqual(valueOf(text, "rondo_log_sync_duration_seconds_count"), syncs, node.name)
    }
  })

  it("sample gauges at each scrape, so that labels that are gone leave the text", () => {
    const { render } = Metrics.make()
    const first = render((sample) => sample(Metrics.sampled.hintsPending, 5, { peer: "node2" }))
    const second = render((sample) => sample(Metrics.sampled.hintsPending, 6, { peer: "node3" }))
    assert.strictEqual(valueOf(first, `rondo_hints_pending{peer="node2"}`), 5)
    assert.strictEqual(valueOf(second, `rondo_hints_pending{peer="node3"}`), 6)
    assert.notInclude(second, "node2")
  })

  it("show a sampled total as it is, not added up over scrapes", () => {
    const { render } = Metrics.make()
    const scrape = () => render((sample) => sample(Metrics.sampled.flushes, 7))
    scrape()
    assert.strictEqual(valueOf(scrape(), "rondo_flushes_total"), 7)
  })

  it.effect("time work on a clock that nobody sets", () =>
    Effect.gen(function*() {
      const jumping = Object.assign(Object.create(yield* Clock.Clock), { currentTimeNanosUnsafe: () => 0n })
      let seconds = 0
      const work = Metrics.timed(Effect.sleep("250 millis"), (took) => seconds = took)
      yield* Effect.forkChild(Effect.provideService(work, Clock.Clock, jumping))
      yield* TestClock.adjust("250 millis")
      assert.strictEqual(seconds, 0.25)
    }))

  it("have names in the house style: prefix, unit, and _total for what only grows", () => {
    for (const { id, type } of Object.values(Metrics.sampled)) {
      assert.match(id, /^rondo_[a-z_]+$/)
      assert.strictEqual(type === "Counter", id.endsWith("_total"), id)
    }
  })
})

type Service = Metrics.Metrics["Service"]
