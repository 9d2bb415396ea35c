/** A network for commands: answers by a function, keeps what was asked. */
import { Effect, Layer, Stream } from "effect"
import { type Answer, Http, HttpFailed, type Request } from "../../src/cli/Http.ts"

export const answer = (status: number, body: string | Uint8Array = "", headers: Answer["headers"] = {}): Answer => ({
  status,
  headers,
  body: Buffer.from(body)
})

export const unreachable = (origin: string) => new HttpFailed({ origin, code: "ECONNREFUSED" })

export const layer = (
  handle: (request: Request) => Answer | HttpFailed | "hang",
  asked: Array<Request> = []
): Layer.Layer<Http> =>
  Layer.succeed(Http, {
    send: (request) =>
      Effect.suspend(() => {
        asked.push(request)
        const outcome = handle(request)
        return outcome === "hang"
          ? Effect.never
          : outcome instanceof HttpFailed
          ? Effect.fail(outcome)
          : Effect.succeed(outcome)
      }),
    stream: (request) =>
      Stream.suspend(() => {
        asked.push(request)
        const outcome = handle(request)
        if (outcome === "hang") return Stream.never
        if (outcome instanceof HttpFailed) return Stream.fail(outcome)
        // Cut small, as a network may.
        const pieces = Array.from(
          { length: Math.ceil(outcome.body.length / 50) },
          (_, at) => outcome.body.subarray(at * 50, at * 50 + 50)
        )
        return Stream.fromIterable(pieces)
      })
  })
