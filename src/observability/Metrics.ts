/**
 * Every metric, named once. Counters and histograms are updated where things happen, by plain functions that cost a
 * fraction of a microsecond; gauges are read from their owners when somebody scrapes, so they cannot go stale.
 *
 * Names start with `rondo_` and end in their unit; labels never carry keys. A node counts in a registry of its own, so
 * nodes that share a process (tests, the simulator) do not share counters.
 */
import { Context, Duration, Effect, Layer, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"

const operations = ["get", "put", "delete"] as const
export type Operation = (typeof operations)[number]

const outcomes = ["ok", "not-found", "refused", "overloaded", "quorum-failed", "client-gone", "failed"] as const
/** How a client's request ended. `refused`: its own fault, a 4xx other than 404. */
export type RequestOutcome = (typeof outcomes)[number]

export type Sample = (metric: Metric.Metric<number, unknown>, value: number, labels?: Record<string, string>) => void

export class Metrics extends Context.Service<Metrics, {
  readonly requestEnded: (operation: Operation, outcome: RequestOutcome, durationNanos: bigint) => void
  readonly writeSuperseded: () => void
  readonly readHedged: () => void
  readonly gossipRoundBegan: () => void
  readonly batchSent: (cells: number) => void
  readonly logSynced: (durationSeconds: number) => void
  readonly compacted: (durationSeconds: number) => void
  /** Everything in Prometheus' text format: the counters, then the gauges that `read` samples for this text alone. */
  readonly render: (read: (sample: Sample) => void) => string
}>()("rondo/observability/Metrics") {
  /** With an empty registry. */
  static readonly layer = Layer.sync(Metrics, () => make())
}

/** From a memory read to the longest `?timeout=` that is common. */
const secondsBoundaries = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** One metric with its labels for each name, built once: building them per update costs ten times as much. */
const each = <Name extends string, A>(names: ReadonlyArray<Name>, make: (name: Name) => A) =>
  Object.fromEntries(names.map((name) => [name, make(name)])) as Record<Name, A>

const seconds = (name: string, description: string, attributes?: Record<string, string>) =>
  Metric.histogram(name, { description, boundaries: secondsBoundaries, ...(attributes && { attributes }) })

const counter = (name: string, description: string, attributes?: Record<string, string>) =>
  Metric.counter(name, { description, incremental: true, ...(attributes && { attributes }) })

const requests = each(
  operations,
  (operation) =>
    each(outcomes, (outcome) => counter("rondo_requests_total", "Client requests that ended", { operation, outcome }))
)

const requestDurations = each(
  operations,
  (operation) => seconds("rondo_request_duration_seconds", "From the request's head to its answer", { operation })
)

const supersededWrites = counter(
  "rondo_superseded_writes_total",
  "Writes stamped again because a replica held something newer"
)
const hedgedReads = counter(
  "rondo_hedged_reads_total",
  "Reads that asked one more replica because another was slow or failed"
)
const gossipRounds = counter("rondo_gossip_rounds_total", "Gossip rounds that this node began")
const batchCells = Metric.histogram("rondo_replication_batch_cells", {
  description: "Cells that went to a peer in one request",
  boundaries: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
})
const logSyncs = seconds("rondo_log_sync_duration_seconds", "One sync of the write-ahead log")
const compactions = seconds("rondo_compaction_duration_seconds", "One compaction of tables")

export const make = (): Metrics["Service"] => {
  const node = Context.make(Metric.MetricRegistry, new Map())
  return {
    requestEnded: (operation, outcome, durationNanos) => {
      requests[operation][outcome].updateUnsafe(1, node)
      requestDurations[operation].updateUnsafe(Number(durationNanos) / 1e9, node)
    },
    writeSuperseded: () => supersededWrites.updateUnsafe(1, node),
    readHedged: () => hedgedReads.updateUnsafe(1, node),
    gossipRoundBegan: () => gossipRounds.updateUnsafe(1, node),
    batchSent: (cells) => batchCells.updateUnsafe(cells, node),
    logSynced: (durationSeconds) => logSyncs.updateUnsafe(durationSeconds, node),
    compacted: (durationSeconds) => compactions.updateUnsafe(durationSeconds, node),
    render: (read) => {
      const scrape = Context.make(Metric.MetricRegistry, new Map())
      read((metric, value, labels) => {
        const labelled = labels === undefined ? metric : Metric.withAttributes(metric, labels)
        labelled.updateUnsafe(value, scrape)
      })
      return PrometheusMetrics.formatUnsafe(node) + PrometheusMetrics.formatUnsafe(scrape)
    }
  }
}

/** Reports how long the effect takes when it succeeds, in seconds, to one of a node's metrics. */
export const timed = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  report: (seconds: number) => void
): Effect.Effect<A, E, R> =>
  Effect.map(Effect.timed(effect), ([duration, result]) => {
    report(Duration.toSeconds(duration))
    return result
  })

const gauge = (name: string, description: string) => Metric.gauge(name, { description })

/** Read from their owners at each scrape; see `Metrics.render`. */
export const sampled = {
  members: gauge("rondo_members", "Members by this node's opinion of them"),
  ringEpoch: gauge("rondo_ring_epoch", "Raised by every change of membership"),
  partitions: gauge("rondo_partitions", "Partitions: all, those with a quorum, those with every replica"),
  requestsInFlight: gauge("rondo_requests_in_flight", "Client requests under way"),
  recovering: gauge(
    "rondo_recovering",
    "1 while this node does not answer reads because its data directory is new or salvaged"
  ),
  lamportCounter: gauge("rondo_lamport_counter", "The highest version counter among the members' clocks"),
  memtableBytes: gauge("rondo_memtable_bytes", "Cells not yet flushed to a table"),
  tables: gauge("rondo_sstables", "Live tables"),
  tableBytes: gauge("rondo_sstable_bytes", "Size of the live tables"),
  logBytes: gauge("rondo_log_bytes", "Size of the write-ahead log"),
  storageRefusing: gauge("rondo_storage_refusing", "1 while the disk refuses writes"),
  storageDamaged: gauge("rondo_storage_damaged", "1 while a table has blocks that cannot be read"),
  storageHoles: gauge(
    "rondo_storage_holes",
    "Ranges of keys with cells lost to damage, not yet back from other replicas"
  ),
  scrubDoneBytes: gauge(
    "rondo_scrub_done_bytes",
    "Bytes of tables that the pass of the scrub has read, or the last one"
  ),
  scrubSizeBytes: gauge("rondo_scrub_size_bytes", "Bytes of tables that there were when that pass began"),
  scrubLastPassSeconds: gauge("rondo_scrub_last_pass_timestamp_seconds", "When the last pass of the scrub ended"),
  hintsPending: gauge("rondo_hints_pending", "Hints that wait for a peer"),
  hintsPendingBytes: gauge("rondo_hints_pending_bytes", "Size of the hints that wait for a peer"),
  eventLoopLagSeconds: gauge("rondo_event_loop_lag_seconds", "99th percentile of timer delay since the last scrape"),
  residentBytes: gauge("rondo_resident_memory_bytes", "Resident memory of the process"),
  heapBytes: gauge("rondo_heap_bytes", "JavaScript heap: used, and reserved from the system"),
  arrayBufferBytes: gauge(
    "rondo_array_buffer_bytes",
    "Memory of buffers outside the JavaScript heap: blocks, memtables, messages"
  ),
  flushes: counter("rondo_flushes_total", "Memtables written to a table"),
  compactions: counter("rondo_compactions_total", "Compactions that ended"),
  logSyncs: counter("rondo_log_syncs_total", "Syncs of the write-ahead log"),
  versionConflicts: counter(
    "rondo_equal_version_conflicts_total",
    "Cells of one version with different bytes: stays 0"
  ),
  readRepairs: counter("rondo_read_repairs_total", "Stale replicas that a read brought up to date"),
  scrubPasses: counter("rondo_scrub_passes_total", "Passes of the scrub over all tables that ended"),
  scrubDamaged: counter("rondo_scrub_damaged_total", "Places that the scrub found damaged"),
  rangesRepaired: counter("rondo_ranges_repaired_total", "Ranges of keys lost to damage that are whole again"),
  cellsRepaired: counter("rondo_cells_repaired_total", "Cells lost to damage that other replicas gave back"),
  hintsDropped: counter("rondo_hints_dropped_total", "Hints left to partition comparison"),
  hintsDelivered: counter("rondo_hints_delivered_total", "Hints that reached their peer")
}
