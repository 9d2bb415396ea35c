/**
 * Counts latencies in buckets at most 1/128 wide, so that percentiles of millions of requests take a few kilobytes and
 * no allocation. The layout of Gil Tene's HdrHistogram: linear up to 256 microseconds, then 128 buckets an octave.
 */

const linearMax = 256
const bucketsPerOctave = 128
/** Up to 2^32 microseconds, more than an hour: longer than any deadline. */
const octaves = 24

export interface Histogram {
  readonly buckets: Uint32Array
  count: number
  maxMicros: number
}

export const make = (): Histogram => ({
  buckets: new Uint32Array(linearMax + bucketsPerOctave * octaves),
  count: 0,
  maxMicros: 0
})

const bucketOf = (micros: number): number => {
  if (micros < linearMax) return micros
  const octave = 31 - Math.clz32(micros) - 8
  return linearMax + octave * bucketsPerOctave + ((micros >>> (octave + 1)) - bucketsPerOctave)
}

/** The greatest latency that falls in the bucket. */
const upperBoundOf = (bucket: number): number => {
  if (bucket < linearMax) return bucket
  const octave = Math.floor((bucket - linearMax) / bucketsPerOctave)
  const step = (bucket - linearMax) % bucketsPerOctave
  return (bucketsPerOctave + step + 1) * 2 ** (octave + 1) - 1
}

export const record = (histogram: Histogram, micros: number): void => {
  const whole = Math.min(Math.max(Math.round(micros), 0), 0xffff_ffff) >>> 0
  const bucket = bucketOf(whole)
  histogram.buckets[bucket] = histogram.buckets[bucket]! + 1
  histogram.count++
  if (whole > histogram.maxMicros) histogram.maxMicros = whole
}

/** The latency that the given share (0 to 1) of requests did not exceed; 0 when there were none. */
export const percentileMicros = (histogram: Histogram, share: number): number => {
  const wanted = Math.max(1, Math.ceil(histogram.count * share))
  let seen = 0
  for (let bucket = 0; bucket < histogram.buckets.length; bucket++) {
    seen += histogram.buckets[bucket]!
    if (seen >= wanted) return Math.min(upperBoundOf(bucket), histogram.maxMicros)
  }
  return 0
}
