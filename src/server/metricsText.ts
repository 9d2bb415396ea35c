/** Samples the gauges for one scrape from the services that own them. */
import { monitorEventLoopDelay } from "node:perf_hooks"
import { type Metrics, sampled } from "../observability/Metrics.ts"
import * as Health from "./Health.ts"

/** Sampling every twenty milliseconds costs nothing and sees every pause that a client would notice. */
export const eventLoopLag = () => {
  const histogram = monitorEventLoopDelay({ resolution: 20 })
  histogram.enable()
  return {
    /** The 99th percentile since the last call, in seconds; 0 before the first look. */
    takeSeconds: (): number => {
      const nanos = histogram.count === 0 ? 0 : histogram.percentile(99)
      histogram.reset()
      return nanos / 1e9
    },
    stop: () => histogram.disable()
  }
}

export const metricsText = (
  metrics: Metrics["Service"],
  observation: Health.Observation,
  requestsInFlight: number,
  eventLoopLagSeconds: number
): string =>
  metrics.render((sample) => {
    const { replicator, ring, settings, storage } = observation
    const health = Health.health(observation)
    for (const liveness of ["up", "suspect", "down"] as const) {
      sample(sampled.members, health.members[liveness], { liveness })
    }
    sample(sampled.ringEpoch, ring.epoch)
    sample(sampled.partitions, settings.partitions, { state: "all" })
    sample(sampled.partitions, health.partitions.withQuorum, { state: "with-quorum" })
    sample(sampled.partitions, health.partitions.withAllReplicas, { state: "with-all-replicas" })
    sample(sampled.requestsInFlight, requestsInFlight)
    sample(sampled.recovering, replicator.recovering ? 1 : 0)
    sample(sampled.lamportCounter, Math.max(0, ...observation.members.map(({ record }) => record.counter)))
    sample(sampled.memtableBytes, storage.memtableBytes)
    sample(sampled.tables, storage.tables)
    sample(sampled.tableBytes, storage.tableBytes)
    sample(sampled.logBytes, storage.logBytes)
    sample(sampled.storageRefusing, storage.refusing === undefined ? 0 : 1)
    sample(sampled.storageDamaged, storage.damage === undefined ? 0 : 1)
    sample(sampled.storageHoles, storage.holes.length)
    const { bytesDone, bytesTotal, damaged, lastPassEndedAtMillis, passes } = storage.scrub
    sample(sampled.scrubDoneBytes, bytesDone)
    sample(sampled.scrubSizeBytes, bytesTotal)
    sample(sampled.scrubPasses, passes)
    sample(sampled.scrubDamaged, damaged)
    if (lastPassEndedAtMillis !== undefined) sample(sampled.scrubLastPassSeconds, lastPassEndedAtMillis / 1000)
    sample(sampled.rangesRepaired, replicator.lostRanges.rangesFilled)
    sample(sampled.cellsRepaired, replicator.lostRanges.cellsGivenBack)
    sample(sampled.flushes, storage.flushes)
    sample(sampled.compactions, storage.compactions)
    sample(sampled.logSyncs, storage.syncs)
    sample(sampled.versionConflicts, storage.equalVersionConflicts)
    sample(sampled.readRepairs, replicator.readRepairs)
    for (const { delivered, dropped, peer, pending, pendingBytes } of replicator.hints) {
      sample(sampled.hintsPending, pending, { peer })
      sample(sampled.hintsPendingBytes, pendingBytes, { peer })
      sample(sampled.hintsDropped, dropped, { peer })
      sample(sampled.hintsDelivered, delivered, { peer })
    }
    sample(sampled.eventLoopLagSeconds, eventLoopLagSeconds)
    const memory = process.memoryUsage()
    sample(sampled.residentBytes, memory.rss)
    sample(sampled.heapBytes, memory.heapUsed, { state: "used" })
    sample(sampled.heapBytes, memory.heapTotal, { state: "committed" })
    sample(sampled.arrayBufferBytes, memory.arrayBuffers)
  })
