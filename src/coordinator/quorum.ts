/**
 * Asks several replicas at once and decides as soon as enough is known.
 *
 * Every request runs in its own fiber. When the outcome is decided, or the caller is interrupted, those still open are
 * interrupted (reads) or go on in the background, bounded by their own timeouts (writes: a cell that some replica took
 * should reach the others, or become a hint).
 */
import { Cause, type Context, Duration, Effect, Exit, type Fiber } from "effect"

export interface CollectOptions<A, E, B, E2> {
  /** Asked at once. */
  readonly requests: ReadonlyArray<Effect.Effect<A, E>>
  /** Asked one by one: when a request fails, or `hedgeAfter` has passed without a decision. */
  readonly spares?: ReadonlyArray<Effect.Effect<A, E>>
  readonly hedgeAfter?: Duration.Duration | undefined
  readonly timeout: Duration.Duration
  readonly stragglers: "interrupt" | "continue"
  /** Called after each answer, with the request's place among `requests` then `spares`; `undefined` waits for more. */
  readonly onAnswer: (index: number, answer: A) => Exit.Exit<B, E2> | undefined
  /** Called after each failure, with how many requests are still open (a spare that it starts included). */
  readonly onFailure: (index: number, error: E, open: number) => Exit.Exit<B, E2> | undefined
  readonly onTimeout: () => Exit.Exit<B, E2>
}

export const collect = <A, E, B, E2>(options: CollectOptions<A, E, B, E2>): Effect.Effect<B, E2> =>
  Effect.contextWith((context: Context.Context<never>) =>
    Effect.callback<B, E2>((resume) => {
      const run = Effect.runForkWith(context)
      const spares = options.spares ?? noSpares
      const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
      // Those of `requests` that have not begun yet are open too: the first may fail before the second is started.
      let open = options.requests.length
      let decided = false
      let sparesStarted = 0
      let timer: Fiber.Fiber<void> | undefined

      const start = (request: Effect.Effect<A, E>, index: number) => {
        const fiber = run(request)
        fibers.push(fiber)
        fiber.addObserver((exit) => {
          open--
          if (decided) return
          if (Exit.isSuccess(exit)) return decide(options.onAnswer(index, exit.value))
          const failure = exit.cause.reasons.find(Cause.isFailReason)
          // A defect is a bug of ours: it must surface, not count as an absent replica.
          if (failure === undefined) return decide(Exit.failCause(exit.cause as Cause.Cause<never>))
          startSpare()
          decide(options.onFailure(index, failure.error, open))
        })
      }

      const startSpare = () => {
        const spare = spares[sparesStarted]
        if (spare === undefined) return
        open++
        start(spare, options.requests.length + sparesStarted++)
      }

      const decide = (outcome: Exit.Exit<B, E2> | undefined) => {
        if (outcome === undefined || decided) return
        decided = true
        timer?.interruptUnsafe()
        if (options.stragglers === "interrupt") interruptAll()
        resume(outcome)
      }

      const interruptAll = () => {
        for (const fiber of fibers) fiber.interruptUnsafe()
      }

      for (const [index, request] of options.requests.entries()) {
        // A write goes to every replica, also when the first ones decide before the last is asked.
        if (decided && options.stragglers === "interrupt") break
        start(request, index)
      }
      if (!decided) {
        timer = run(ticks(options, () => !decided && startSpare(), () => decide(options.onTimeout())))
      }

      return Effect.sync(() => {
        decided = true
        timer?.interruptUnsafe()
        if (options.stragglers === "interrupt") interruptAll()
      })
    })
  )

const noSpares: ReadonlyArray<never> = []

const ticks = (
  { hedgeAfter, timeout }: { readonly hedgeAfter?: Duration.Duration | undefined; readonly timeout: Duration.Duration },
  hedge: () => void,
  expire: () => void
) =>
  hedgeAfter === undefined || Duration.isGreaterThanOrEqualTo(hedgeAfter, timeout)
    ? Effect.andThen(Effect.sleep(timeout), Effect.sync(expire))
    : Effect.sleep(hedgeAfter).pipe(
      Effect.andThen(Effect.sync(hedge)),
      Effect.andThen(Effect.sleep(Duration.subtract(timeout, hedgeAfter))),
      Effect.andThen(Effect.sync(expire))
    )
