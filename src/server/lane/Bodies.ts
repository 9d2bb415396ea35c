/**
 * Bounds the bodies that clients are sending: their number, their size together, and the pace of each. They hold no
 * place among the requests under way, so that slow uploads do not keep reads out.
 */
import { Clock, Context, Duration, Effect, Layer } from "effect"
import { NodeConfig } from "../../config/NodeConfig.ts"
import { uptimeMillisUnsafe } from "../../observability/uptime.ts"

/** Many times the largest value. */
export const bytesTogetherMax = 64 * 1024 * 1024
/** A body has this long, */
const graceMillis = 10_000
/** and a second more for each of these that has arrived. */
const bytesPerSecondMin = 64 * 1024
/** How often the pace is checked. */
const interval = Duration.seconds(1)

export interface Arriving {
  readonly beganAtMillis: number
  /** Arrived and kept. */
  bytes: number
  readonly tooSlow: () => void
}

export class Bodies extends Context.Service<Bodies, {
  /** Begins to count a body, or returns `undefined` when there are too many. Call `end` for each. */
  readonly begin: (tooSlow: () => void) => Arriving | undefined
  /** Counts bytes that arrived, or returns `false` when all bodies together would be too large. */
  readonly add: (body: Arriving, bytes: number) => boolean
  readonly end: (body: Arriving) => void
}>()("rondo/server/lane/Bodies") {
  static readonly layer = Layer.effect(
    Bodies,
    Effect.gen(function*() {
      const { requestsInFlightMax: countMax } = yield* NodeConfig
      const clock = yield* Clock.Clock
      const arriving = new Set<Arriving>()
      let bytesTogether = 0

      const lookAtPace = Effect.sync(() => {
        const now = uptimeMillisUnsafe(clock)
        for (const body of arriving) {
          const dueAtMillis = body.beganAtMillis + graceMillis + body.bytes / bytesPerSecondMin * 1000
          if (now >= dueAtMillis) body.tooSlow()
        }
      })
      yield* Effect.sleep(interval).pipe(Effect.andThen(lookAtPace), Effect.forever, Effect.forkScoped)

      return {
        begin: (tooSlow) => {
          if (arriving.size >= countMax) return undefined
          const body: Arriving = { beganAtMillis: uptimeMillisUnsafe(clock), bytes: 0, tooSlow }
          arriving.add(body)
          return body
        },
        add: (body, bytes) => {
          if (bytesTogether + bytes > bytesTogetherMax) return false
          bytesTogether += bytes
          body.bytes += bytes
          return true
        },
        end: (body) => {
          if (arriving.delete(body)) bytesTogether -= body.bytes
        }
      }
    })
  )
}
