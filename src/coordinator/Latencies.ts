/**
 * How long other replicas took to answer reads: a moving average for each, and how long a read waits before it asks
 * another one as well. That is the recent 99th percentile of all, so that one read in a hundred costs an extra request.
 *
 * Source: Dean and Barroso, "The Tail at Scale" (CACM 2013), hedged requests.
 */
import type { NodeId } from "../domain/NodeId.ts"

/** Weight of one answer in a replica's moving average. */
const weight = 0.1
const samplesKept = 512
/** Sorting every time would cost more than the answer is worth. */
const samplesBetweenUpdates = 64
const percentile = 0.99
/** Below this a timer costs more than it saves. */
const hedgeAfterMillisMin = 2
/** Until enough was measured: generous, so that a cold start does not ask everyone twice. */
const hedgeAfterMillisInitial = 50

export interface Latencies {
  readonly record: (node: NodeId, millis: number) => void
  /** 0 for a replica that has not answered yet. */
  readonly averageMillis: (node: NodeId) => number
  readonly hedgeAfterMillis: () => number
}

export const make = (): Latencies => {
  const averages = new Map<NodeId, number>()
  const samples = new Float64Array(samplesKept)
  let recorded = 0
  let hedgeAfterMillis = hedgeAfterMillisInitial
  return {
    record: (node, millis) => {
      const average = averages.get(node)
      averages.set(node, average === undefined ? millis : average + weight * (millis - average))
      samples[recorded++ % samplesKept] = millis
      if (recorded % samplesBetweenUpdates !== 0) return
      const sorted = samples.slice(0, Math.min(recorded, samplesKept)).sort()
      hedgeAfterMillis = Math.max(hedgeAfterMillisMin, sorted[Math.floor(sorted.length * percentile)]!)
    },
    averageMillis: (node) => averages.get(node) ?? 0,
    hedgeAfterMillis: () => hedgeAfterMillis
  }
}
