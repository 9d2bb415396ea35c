/**
 * One POST of bytes to a peer, and the bytes of its answer: the path of every batch.
 *
 * Straight on undici's dispatcher. Effect's `HttpClient` on the same dispatcher spends more on a request (span, body
 * stream, abort controller) than the rest of a batch costs: 390 microseconds of this node's time against 140.
 */
import type * as Undici from "@effect/platform-node/Undici"
import { Effect } from "effect"

export interface Answer {
  readonly status: number
  readonly body: Buffer
}

export interface ExchangeOptions {
  readonly origin: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** Fails with undici's error. Interruption gives the connection up, since an answer may still come on it. */
export const exchange = (dispatcher: Undici.Dispatcher, options: ExchangeOptions): Effect.Effect<Answer, Error> =>
  Effect.callback((resume) => {
    let controller: Undici.Dispatcher.DispatchController | undefined
    let isInterrupted = false
    let status = 0
    const chunks: Array<Buffer> = []
    dispatcher.dispatch({ ...options, method: "POST" }, {
      onRequestStart: (started) => {
        controller = started
        if (isInterrupted) started.abort(interrupted)
      },
      onResponseStart: (_controller, statusCode) => {
        status = statusCode
      },
      onResponseData: (_controller, chunk) => {
        chunks.push(chunk)
      },
      onResponseEnd: () => resume(Effect.succeed({ status, body: joined(chunks) })),
      onResponseError: (_controller, error) => resume(Effect.fail(error))
    })
    return Effect.sync(() => {
      isInterrupted = true
      controller?.abort(interrupted)
    })
  })

const interrupted = new Error("the request was interrupted")

const joined = (chunks: ReadonlyArray<Buffer>): Buffer => chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
