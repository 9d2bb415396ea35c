/** When to repeat a request that failed for a passing reason. */
import { Duration, Effect, Random, Schedule } from "effect"

export interface AttemptFailed {
  /** To count by: `ECONNREFUSED`, `503 WriteQuorumFailed`. */
  readonly kind: string
  readonly retryable: boolean
  /** The server's `Retry-After`. */
  readonly retryAfter: Duration.Duration | undefined
}

/** The first retries are quick, for a node that restarts; later ones leave an overloaded cluster alone. */
const firstDelay = Duration.millis(50)
const delayMax = Duration.seconds(2)

/** Delays double, with jitter, up to `delayMax`. No attempt begins later than `giveUpAfter`. */
export const schedule = (giveUpAfter: Duration.Duration) =>
  Schedule.exponential(firstDelay).pipe(
    Schedule.setInputType<AttemptFailed>(),
    Schedule.modifyDelay(({ duration, input: { retryAfter = Duration.zero } }) =>
      Effect.map(Random.next, (random) =>
        Duration.max(
          Duration.times(Duration.min(duration, delayMax), 0.5 + random / 2),
          Duration.min(retryAfter, delayMax)
        ))
    ),
    Schedule.while(({ duration, elapsed, input }) =>
      input.retryable && elapsed + Duration.toMillis(duration) <= Duration.toMillis(giveUpAfter)
    )
  )
