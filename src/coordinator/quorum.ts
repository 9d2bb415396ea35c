/**
 * Asks several replicas at once and decides as soon as enough is known.
 *
 * When the outcome is decided, or the caller is interrupted, requests still open are cancelled (reads) or go on in the
 * background, bounded by their own timeouts (writes: a cell that some replica took should reach the others, or become
 * a hint).
 */
import { Cause, type Context, Effect, Exit } from "effect"
import * as Call from "../replication/Call.ts"
import type { Deadline, Deadlines } from "./Deadlines.ts"

export interface CollectOptions<A, E, B, E2> {
  readonly deadlines: Deadlines
  /** Starts the request of that place among those asked at once, then the spares. */
  readonly start: (index: number, done: Call.Done<A, E>) => Call.Cancel
  /** How many are asked at once. */
  readonly requests: number
  /** How many more may be asked, one by one: when a request fails, or at `hedgeAt` without a decision. */
  readonly spares: number
  /** Both in the time of `deadlines`. */
  readonly hedgeAt?: number | undefined
  readonly expiresAt: number
  readonly stragglers: "interrupt" | "continue"
  /** Called after each answer; `undefined` waits for more. */
  readonly onAnswer: (index: number, answer: A) => Exit.Exit<B, E2> | undefined
  /** Called after each failure, with how many requests are still open (a spare that it starts included). */
  readonly onFailure: (index: number, error: E, open: number) => Exit.Exit<B, E2> | undefined
  readonly onTimeout: () => Exit.Exit<B, E2>
}

export const collect = <A, E, B, E2>(options: CollectOptions<A, E, B, E2>): Effect.Effect<B, E2> =>
  Effect.callback<B, E2>((resume) => {
    const { deadlines, expiresAt, hedgeAt, requests, spares, start } = options
    const interrupts = options.stragglers === "interrupt"
    const cancels: Array<Call.Cancel> = []
    // Those that have not begun yet are open too: the first may fail before the second is started.
    let open = requests
    let decided = false
    let sparesStarted = 0
    let deadline: Deadline | undefined

    const ask = (index: number) => {
      const cancel = start(index, (exit) => {
        open--
        if (!decided) decide(Exit.isSuccess(exit) ? options.onAnswer(index, exit.value) : failed(index, exit.cause))
      })
      if (interrupts) cancels.push(cancel)
    }

    const failed = (index: number, cause: Cause.Cause<E>): Exit.Exit<B, E2> | undefined => {
      const failure = cause.reasons.find(Cause.isFailReason)
      // A defect is a bug of ours: it must surface, not count as an absent replica.
      if (failure === undefined) return Exit.failCause(cause as Cause.Cause<never>)
      // Told first: the spare may fail, and decide, at once.
      const outcome = options.onFailure(index, failure.error, sparesStarted < spares ? open + 1 : open)
      if (outcome === undefined) askSpare()
      return outcome
    }

    const askSpare = () => {
      if (sparesStarted === spares) return
      open++
      ask(requests + sparesStarted++)
    }

    const decide = (outcome: Exit.Exit<B, E2> | undefined) => {
      if (outcome === undefined || decided) return
      end()
      resume(outcome)
    }

    const end = () => {
      decided = true
      deadline?.cancel()
      for (const cancel of cancels) cancel()
    }

    const expire = () => decide(options.onTimeout())

    const hedge = () => {
      deadline = deadlines.at(expiresAt, expire)
      askSpare()
    }

    for (let index = 0; index < requests; index++) {
      // A write goes to every replica, also when the first ones decide before the last is asked.
      if (decided && interrupts) break
      ask(index)
    }
    if (!decided) {
      deadline = hedgeAt === undefined || hedgeAt >= expiresAt
        ? deadlines.at(expiresAt, expire)
        : deadlines.at(hedgeAt, hedge)
    }
    return Effect.sync(end)
  })

type EffectsOptions<A, E, B, E2> = Omit<CollectOptions<A, E, B, E2>, "start" | "requests" | "spares"> & {
  readonly requests: ReadonlyArray<Effect.Effect<A, E>>
  readonly spares: ReadonlyArray<Effect.Effect<A, E>>
}

/** `collect` with effects for requests, each in a fiber of its own. */
export const collectEffects = <A, E, B, E2>(
  { requests, spares, ...options }: EffectsOptions<A, E, B, E2>
): Effect.Effect<B, E2> =>
  Effect.contextWith((context: Context.Context<never>) => {
    const start = Call.starter(context)
    const effects = [...requests, ...spares]
    return collect({
      ...options,
      start: (index, done) => start(effects[index]!, done),
      requests: requests.length,
      spares: spares.length
    })
  })
