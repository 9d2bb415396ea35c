/** When a request that failed for a reason that may pass is sent again. */
import { Duration, Effect, Random, Schedule } from "effect"

export interface AttemptFailed {
  /** In a word or two, to count by: `ECONNREFUSED`, `503 WriteQuorumFailed`. */
  readonly kind: string
  readonly retryable: boolean
  /** The server's `Retry-After`. */
  readonly retryAfter: Duration.Duration | undefined
}

/** The first retries are quick, for a node that restarts; later ones leave an overloaded cluster alone. */
const firstDelay = Duration.millis(50)
const delayMax = Duration.seconds(2)

/**
 * Delays double, each between half and all of it, so that clients that failed together do not return together. No
 * attempt begins later than `giveUpAfter`.
 */
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
