/**
 * The bodies that clients are sending: how many, how large together, and how fast each must come.
 *
 * They hold no place among the requests under way, so that slow uploads cannot keep others out, reads above all.
 */
import { Clock, Context, Duration, Effect, Layer } from "effect"
import { NodeConfig } from "../../config/NodeConfig.ts"
import { uptimeMillisUnsafe } from "../../observability/uptime.ts"

/** All bodies together; each value limit fits many times. */
export const bytesTogetherMax = 64 * 1024 * 1024
/** A body has this long, */
const graceMillis = 10_000
/** and a second more for each of these that has arrived. */
const bytesPerSecondMin = 64 * 1024
/** How often the pace is checked. */
const interval = Duration.seconds(1)

export interface Arriving {
  readonly beganAtMillis: number
  /** Those that have arrived and are kept. */
  bytes: number
  readonly tooSlow: () => void
}

export class Bodies extends Context.Service<Bodies, {
  /** Begins to count a body, or answers `undefined` when there are too many. `end` is due exactly once for each. */
  readonly begin: (tooSlow: () => void) => Arriving | undefined
  /** Counts bytes that arrived, or answers `false` when all bodies together would be too large. */
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
