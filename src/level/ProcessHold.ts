/**
 * Keeps the process alive only while a caller waits: a program that forgets to close its database ends when it is
 * done, as with other databases of Level.
 *
 * Leaf: Node's timers. Effect's own would keep the process alive for the engine's background work, which the next
 * start completes, as after a crash.
 */
// @effect-diagnostics globalTimers:off globalTimersInEffect:off
import { Clock, Duration, Effect, Layer } from "effect"

export class ProcessHold {
  private readonly timer = setInterval(() => undefined, timerMillisMax).unref()
  private holders = 0

  hold(): void {
    if (this.holders++ === 0) this.timer.ref()
  }

  release(): void {
    if (--this.holders === 0) this.timer.unref()
  }

  end(): void {
    clearInterval(this.timer)
  }
}

/** The longest delay of Node's timers. */
const timerMillisMax = 2 ** 31 - 1

const sleep = (millis: number): Effect.Effect<void> => {
  if (millis <= 0) return Effect.yieldNow
  if (!Number.isFinite(millis)) return Effect.never
  return Effect.callback((resume) => {
    const rest = millis > timerMillisMax ? sleep(millis - timerMillisMax) : Effect.void
    const timer = setTimeout(() => resume(rest), Math.min(millis, timerMillisMax)).unref()
    return Effect.sync(() => clearTimeout(timer))
  })
}

/** The usual clock, except that a sleep does not keep the process alive. */
export const layerClock: Layer.Layer<never> = Layer.effect(
  Clock.Clock,
  Effect.map(Clock.Clock, (usual): Clock.Clock => ({
    currentTimeMillis: usual.currentTimeMillis,
    currentTimeMillisUnsafe: () => usual.currentTimeMillisUnsafe(),
    currentTimeNanos: usual.currentTimeNanos,
    currentTimeNanosUnsafe: () => usual.currentTimeNanosUnsafe(),
    monotonicTimeNanos: usual.monotonicTimeNanos,
    monotonicTimeNanosUnsafe: () => usual.monotonicTimeNanosUnsafe(),
    sleep: (duration) => sleep(Duration.toMillis(duration))
  }))
)
