/**
 * How long a read waits for a replica before it asks another one as well: the recent 99th percentile of answers, so
 * that about one read in a hundred costs an extra request.
 *
 * Source: Dean and Barroso, "The Tail at Scale" (CACM 2013), hedged requests.
 */
import { Duration } from "effect"

const samplesKept = 512
/** Sorting every time would cost more than the answer is worth. */
const samplesBetweenUpdates = 64
const percentile = 0.99
/** Below this a timer costs more than it saves. */
const floorMillis = 2
/** Until enough was measured: generous, so that a cold start does not ask everyone twice. */
const initialMillis = 50

export interface HedgeDelay {
  readonly record: (millis: number) => void
  readonly current: () => Duration.Duration
}

export const make = (): HedgeDelay => {
  const samples = new Float64Array(samplesKept)
  let recorded = 0
  let delay = Duration.millis(initialMillis)
  return {
    record: (millis) => {
      samples[recorded % samplesKept] = millis
      recorded++
      if (recorded % samplesBetweenUpdates !== 0) return
      const sorted = samples.slice(0, Math.min(recorded, samplesKept)).sort()
      delay = Duration.millis(Math.max(floorMillis, sorted[Math.floor(sorted.length * percentile)]!))
    },
    current: () => delay
  }
}
