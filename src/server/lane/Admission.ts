/**
 * Bounds the client requests under way. An overloaded node refuses before it reads a body, so that it keeps answering
 * and its memory stays bounded. A request is under way until the client has taken its answer.
 */
import { Context, Effect, Layer } from "effect"
import { NodeConfig } from "../../config/NodeConfig.ts"

export class Admission extends Context.Service<Admission, {
  readonly limit: number
  readonly inFlight: () => number
  readonly isFull: () => boolean
  /** Takes a place, or returns `false`. Call `leave` exactly once for each place taken. */
  readonly enter: () => boolean
  readonly leave: () => void
}>()("rondo/server/lane/Admission") {
  static readonly layer = Layer.effect(
    Admission,
    Effect.gen(function*() {
      const { requestsInFlightMax: limit } = yield* NodeConfig
      let inFlight = 0
      return {
        limit,
        inFlight: () => inFlight,
        isFull: () => inFlight >= limit,
        enter: () => {
          if (inFlight >= limit) return false
          inFlight++
          return true
        },
        leave: () => {
          inFlight--
        }
      }
    })
  )
}
