/**
 * One queue towards one peer, and at most one batch under way. Requests that arrive meanwhile go together in the next,
 * so load makes batches larger, not queues longer.
 *
 * Invariants
 * - Answers reach their callers in the order of the batch; a failed batch fails all of its callers alike.
 * - A request whose caller is interrupted before its batch leaves is not sent. Later, the answer is dropped.
 */
import { Cause, Effect, Exit, type Scope } from "effect"
import { restarting } from "../observability/restarting.ts"
import type { PeerFailed } from "../peer/PeerError.ts"

/** Queues the request and waits for its answer. */
export type Submit<Request, Answer> = (request: Request) => Effect.Effect<Answer, PeerFailed>

export interface BatcherOptions<Request, Answer> {
  /** Sends one batch; must answer in its order and end in bounded time. */
  readonly send: (batch: ReadonlyArray<Request>) => Effect.Effect<ReadonlyArray<Answer>, PeerFailed>
  readonly bytesOf: (request: Request) => number
  readonly batchRequestsMax: number
  readonly batchBytesMax: number
  /** A queue this long, or this large, refuses more: the peer does not keep up. */
  readonly queueMax: number
  readonly queueBytesMax: number
  /** Whether a batch that failed like this fails the queue behind it too, instead of one batch after another. */
  readonly failsAll: (failure: PeerFailed) => boolean
  readonly overloaded: () => PeerFailed
  /** Called with the number of requests before each batch is sent. */
  readonly batchSent: (requests: number) => void
}

interface Waiting<Request, Answer> {
  readonly request: Request
  readonly resume: (exit: Exit.Exit<Answer, PeerFailed>) => void
  readonly bytes: number
  /** Its caller left when its batch was under way. */
  isCancelled: boolean
}

/** The sending loop lives in the scope. */
export const make = <Request, Answer>(
  options: BatcherOptions<Request, Answer>
): Effect.Effect<Submit<Request, Answer>, never, Scope.Scope> =>
  Effect.gen(function*() {
    let queue: Array<Waiting<Request, Answer>> = []
    let queueBytes = 0
    let wake: (() => void) | undefined

    /** Waits until the queue holds something. */
    const arrival = Effect.callback<void>((resume) => {
      if (queue.length > 0) resume(Effect.void)
      else wake = () => resume(Effect.void)
    })

    const take = (): ReadonlyArray<Waiting<Request, Answer>> => {
      const batch: Array<Waiting<Request, Answer>> = []
      let bytes = 0
      let index = 0
      for (; index < queue.length && batch.length < options.batchRequestsMax; index++) {
        const waiting = queue[index]!
        if (batch.length > 0 && bytes + waiting.bytes > options.batchBytesMax) break
        bytes += waiting.bytes
        batch.push(waiting)
      }
      queueBytes -= bytes
      queue = index === queue.length ? [] : queue.slice(index)
      return batch
    }

    /** A caller that left gives its place back at once. */
    const cancel = (waiting: Waiting<Request, Answer>) => {
      waiting.isCancelled = true
      const place = queue.lastIndexOf(waiting)
      if (place === -1) return
      queue.splice(place, 1)
      queueBytes -= waiting.bytes
    }

    const drain = (): ReadonlyArray<Waiting<Request, Answer>> => {
      const drained = queue
      queue = []
      queueBytes = 0
      return drained
    }

    const sendWaiting = Effect.suspend(() => {
      const batch = take()
      if (batch.length === 0) return Effect.void
      options.batchSent(batch.length)
      return Effect.matchCause(options.send(batch.map(({ request }) => request)), {
        // A defect reaches the callers too: nobody waits for a timeout because of a bug, and the next batch goes out.
        onFailure: (cause) => {
          const failure = cause.reasons.find(Cause.isFailReason)
          const behind = failure !== undefined && options.failsAll(failure.error) ? drain() : []
          const exit = Exit.failCause(cause)
          answer([...batch, ...behind], () => exit)
        },
        onSuccess: (answers) => {
          answer(batch, (index) => Exit.succeed(answers[index]!))
        }
      })
    })

    /** Clients send their next requests when the last batch is answered. Two turns of the event loop bring those in. */
    const gather = Effect.andThen(Effect.yieldNow, Effect.yieldNow)
    const round = Effect.andThen(arrival, Effect.andThen(gather, sendWaiting))
    yield* Effect.forkScoped(restarting("batches to a peer", Effect.forever(round, { disableYield: true })))

    return (request) =>
      Effect.callback((resume) => {
        if (queue.length >= options.queueMax || queueBytes >= options.queueBytesMax) {
          return resume(Effect.fail(options.overloaded()))
        }
        const waiting: Waiting<Request, Answer> = {
          request,
          resume,
          bytes: options.bytesOf(request),
          isCancelled: false
        }
        queue.push(waiting)
        queueBytes += waiting.bytes
        const wakeNow = wake
        wake = undefined
        wakeNow?.()
        return Effect.sync(() => cancel(waiting))
      })
  })

/** Answers everyone, even when an observer of one of them throws. That ends the loop as its defect. */
const answer = <Request, Answer>(
  batch: ReadonlyArray<Waiting<Request, Answer>>,
  exitOf: (index: number) => Exit.Exit<Answer, PeerFailed>
): void => {
  let defect: { readonly thrown: unknown } | undefined
  for (let index = 0; index < batch.length; index++) {
    const waiting = batch[index]!
    try {
      if (!waiting.isCancelled) waiting.resume(exitOf(index))
    } catch (thrown) {
      defect ??= { thrown }
    }
  }
  if (defect !== undefined) throw defect.thrown
}
