/**
 * One queue towards one peer, and at most one request under way: what arrives meanwhile goes together in the next.
 * So load makes batches larger, not queues longer.
 *
 * Invariants
 * - Answers reach their callers in the order of the batch; a failed batch fails all of its callers alike.
 * - A caller that is interrupted before its batch left takes its request along; later, the answer is dropped.
 */
import { Cause, Effect, Exit, type Scope } from "effect"
import * as Metrics from "../observability/Metrics.ts"
import { restarting } from "../observability/restarting.ts"
import type { PeerFailed } from "../peer/PeerError.ts"
import * as Call from "./Call.ts"

export interface Batcher<Request, Answer> {
  /** Waits for the answer, in the company of whatever else waits for this peer. */
  readonly submit: (request: Request) => Effect.Effect<Answer, PeerFailed>
  /** `submit` as a plain call. */
  readonly enqueue: (request: Request, done: Call.Done<Answer, PeerFailed>) => Call.Cancel
  /** Requests that wait or are under way. */
  readonly depth: () => number
}

export interface BatcherOptions<Request, Answer> {
  /** Sends one batch; must answer in its order and end in bounded time. */
  readonly send: (batch: ReadonlyArray<Request>) => Effect.Effect<ReadonlyArray<Answer>, PeerFailed>
  readonly bytesOf: (request: Request) => number
  readonly batchRequestsMax: number
  readonly batchBytesMax: number
  /** A queue this long, or this large, refuses more: the peer does not keep up. */
  readonly queueMax: number
  readonly queueBytesMax: number
  /** Whether those who wait behind a batch that failed like this fail with it, instead of one batch after another. */
  readonly failsAll: (failure: PeerFailed) => boolean
  readonly overloaded: () => PeerFailed
}

interface Waiting<Request, Answer> {
  readonly request: Request
  readonly done: Call.Done<Answer, PeerFailed>
  readonly bytes: number
  cancelled: boolean
}

/** The sending loop lives in the scope. */
export const make = <Request, Answer>(
  options: BatcherOptions<Request, Answer>
): Effect.Effect<Batcher<Request, Answer>, never, Scope.Scope> =>
  Effect.gen(function*() {
    let queue: Array<Waiting<Request, Answer>> = []
    let queueBytes = 0
    let underWay = 0
    let wake: (() => void) | undefined

    /** Looks again: something may have arrived between the look at the queue and this. */
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
        if (!waiting.cancelled) {
          if (batch.length > 0 && bytes + waiting.bytes > options.batchBytesMax) break
          bytes += waiting.bytes
          batch.push(waiting)
        }
        queueBytes -= waiting.bytes
      }
      queue = index === queue.length ? [] : queue.slice(index)
      return batch
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
      underWay = batch.length
      Metrics.batchSent(batch.length)
      return Effect.matchCause(options.send(batch.map(({ request }) => request)), {
        // A defect too, so that nobody waits for a bug until a timeout, and the next batch goes out all the same.
        onFailure: (cause) => {
          underWay = 0
          const failure = cause.reasons.find(Cause.isFailReason)
          const behind = failure !== undefined && options.failsAll(failure.error) ? drain() : []
          const exit = Exit.failCause(cause)
          tell([...batch, ...behind], () => exit)
        },
        onSuccess: (answers) => {
          underWay = 0
          tell(batch, (index) => Exit.succeed(answers[index]!))
        }
      })
    })

    /** Two turns of the event loop bring in what clients sent on the answers of the last batch: larger batches, fewer. */
    const gather = Effect.andThen(Effect.yieldNow, Effect.yieldNow)
    const round = Effect.andThen(arrival, Effect.andThen(gather, sendWaiting))
    yield* Effect.forkScoped(restarting("batches to a peer", Effect.forever(round, { disableYield: true })))

    const enqueue = (request: Request, done: Call.Done<Answer, PeerFailed>): Call.Cancel => {
      if (queue.length >= options.queueMax || queueBytes >= options.queueBytesMax) {
        done(Exit.fail(options.overloaded()))
        return nothing
      }
      const waiting: Waiting<Request, Answer> = { request, done, bytes: options.bytesOf(request), cancelled: false }
      queue.push(waiting)
      queueBytes += waiting.bytes
      if (wake !== undefined) {
        const wakeNow = wake
        wake = undefined
        wakeNow()
      }
      return () => {
        waiting.cancelled = true
      }
    }

    return {
      submit: (request) => Call.toEffect((done) => enqueue(request, done)),
      enqueue,
      depth: () => queue.length + underWay
    }
  })

const nothing = () => {}

/** Tells everyone, also when one of them throws, which then ends the loop as its defect. */
const tell = <Request, Answer>(
  batch: ReadonlyArray<Waiting<Request, Answer>>,
  exitOf: (index: number) => Exit.Exit<Answer, PeerFailed>
): void => {
  let defect: { readonly thrown: unknown } | undefined
  for (let index = 0; index < batch.length; index++) {
    const waiting = batch[index]!
    try {
      if (!waiting.cancelled) waiting.done(exitOf(index))
    } catch (thrown) {
      defect ??= { thrown }
    }
  }
  if (defect !== undefined) throw defect.thrown
}
