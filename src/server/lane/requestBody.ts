/**
 * Collects a request's body by hand: a third faster than the platform's stream, and bounded while it arrives.
 *
 * A body over the limit is dropped. If its end is near it is still read, so that a client that listens only after it
 * has sent everything gets its answer on a usable connection.
 */
import { Effect } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Arriving, Bodies } from "./Bodies.ts"

/** Bodies up to this size are read and dropped: a few times the largest value, and soon read. */
const droppedBytesMax = 8 * 1024 * 1024

const empty = new Uint8Array(0)

export type Refusal = "too-large" | "too-slow" | "too-many"

/** A peer's body: the bytes, or `undefined` when there are more than `bytesMax`. */
export const collect = (
  request: IncomingMessage,
  response: ServerResponse,
  bytesMax: number
): Effect.Effect<Uint8Array | undefined> =>
  Effect.map(receive(request, response, bytesMax, undefined), (body) => typeof body === "string" ? undefined : body)

/** The bytes, or why there are none. Never resumes when the client goes away: see `NodeHttpServer`. */
export const receive = (
  request: IncomingMessage,
  response: ServerResponse,
  bytesMax: number,
  bodies: Bodies["Service"] | undefined
): Effect.Effect<Uint8Array | Refusal> => {
  const declared = request.headers["content-length"]
  const declaredBytes = declared === undefined ? undefined : Number(declared)
  if (declaredBytes === 0) return Effect.succeed(empty)
  if (declaredBytes === undefined && request.headers["transfer-encoding"] === undefined) return Effect.succeed(empty)
  const expectsContinue = request.headers.expect !== undefined
  if (declaredBytes !== undefined && declaredBytes > bytesMax) {
    // A client that waits for permission has sent nothing yet, so there are no bytes to drop.
    if (expectsContinue || declaredBytes > droppedBytesMax) return Effect.succeed("too-large")
  }
  return Effect.callback((resume) => {
    let chunks: Array<Uint8Array> | undefined = []
    let bytes = 0
    let body: Arriving | undefined
    const stop = () => {
      request.off("data", onData)
      request.off("end", onEnd)
      if (body !== undefined) bodies!.end(body)
    }
    const refuse = (refusal: Refusal) => {
      stop()
      request.pause()
      resume(Effect.succeed(refusal))
    }
    const onData = (chunk: Uint8Array) => {
      bytes += chunk.length
      if (bytes > droppedBytesMax && bytes > bytesMax) return refuse("too-large")
      if (body !== undefined && bytes <= bytesMax && !bodies!.add(body, chunk.length)) return refuse("too-many")
      if (bytes <= bytesMax) chunks!.push(chunk)
      else chunks = undefined
    }
    const onEnd = () => {
      stop()
      resume(Effect.succeed(chunks === undefined ? "too-large" : joined(chunks)))
    }
    if (bodies !== undefined) {
      body = bodies.begin(() => refuse("too-slow"))
      if (body === undefined) return resume(Effect.succeed("too-many"))
    }
    request.on("data", onData)
    request.on("end", onEnd)
    if (expectsContinue) response.writeContinue()
    return Effect.sync(stop)
  })
}

const joined = (chunks: ReadonlyArray<Uint8Array>): Uint8Array =>
  chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
