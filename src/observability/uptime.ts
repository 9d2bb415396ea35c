/**
 * Milliseconds on a clock that nobody sets: for durations, deadlines and ages. The wall clock jumps when it is
 * corrected, and a node that measures by it holds its peers for dead, or waits for a day.
 */
import { Clock, Effect } from "effect"

const nanosPerMilli = 1_000_000

export const uptimeMillisUnsafe = (clock: Clock.Clock): number =>
  Number(clock.monotonicTimeNanosUnsafe()) / nanosPerMilli

export const uptimeMillis: Effect.Effect<number> = Effect.map(
  Clock.monotonicTimeNanos,
  (nanos) => Number(nanos) / nanosPerMilli
)
