/** Repeats a request that failed for a reason that may pass, until it succeeds or has been tried for long enough. */
import { Clock, Duration, Effect, Random } from "effect"

/** One attempt that came to nothing. */
export interface AttemptFailed {
  /** In a word or two, to count by: `ECONNREFUSED`, `503 WriteQuorumFailed`. */
  readonly kind: string
  readonly retryable: boolean
  /** What the server asked for in `Retry-After`. */
  readonly retryAfter: Duration.Duration | undefined
}

export interface Policy {
  readonly firstDelay: Duration.Duration
  readonly delayMax: Duration.Duration
  /** No attempt begins later than this after the first. */
  readonly giveUpAfter: Duration.Duration
}

/** The first retries are quick, for a node that restarts; later ones leave an overloaded cluster alone. */
export const defaultPolicy: Policy = {
  firstDelay: Duration.millis(50),
  delayMax: Duration.seconds(2),
  giveUpAfter: Duration.seconds(60)
}

/** `attempt` gets the number of the attempt, from 0; `onRetry` hears of each failure that will be repeated. */
export const retry = Effect.fnUntraced(function*<A, R>(
  policy: Policy,
  attempt: (number: number) => Effect.Effect<A, AttemptFailed, R>,
  onRetry: (failure: AttemptFailed) => void
) {
  const giveUpAt = (yield* Clock.currentTimeMillis) + Duration.toMillis(policy.giveUpAfter)
  for (let number = 0;; number++) {
    const result = yield* Effect.result(attempt(number))
    if (result._tag === "Success") return result.success
    const { failure } = result
    const delay = delayMillis(policy, number, failure, yield* Random.next)
    if (!failure.retryable || (yield* Clock.currentTimeMillis) + delay > giveUpAt) return yield* Effect.fail(failure)
    onRetry(failure)
    yield* Effect.sleep(Duration.millis(delay))
  }
})

/** Doubles each time; between half and all of it, so that clients that failed together do not return together. */
const delayMillis = (policy: Policy, number: number, failure: AttemptFailed, random: number): number => {
  const doubled = Math.min(Duration.toMillis(policy.firstDelay) * 2 ** number, Duration.toMillis(policy.delayMax))
  const asked = failure.retryAfter === undefined ? 0 : Duration.toMillis(failure.retryAfter)
  return Math.max(doubled * (0.5 + random / 2), Math.min(asked, Duration.toMillis(policy.delayMax)))
}
