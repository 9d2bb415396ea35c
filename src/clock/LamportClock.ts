/**
 * This node's Lamport clock: stamps writes above every version that it has ever issued or seen, across restarts.
 *
 * Invariants
 * - No counter is issued twice: counters are reserved on disk in blocks before the first of a block is used.
 * - One bad node cannot exhaust the clock: a counter absurdly far ahead is refused (`observe`).
 *
 * Source: Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System" (CACM 1978).
 */
import { Clock, Context, Effect, Layer, Schema, Semaphore } from "effect"
import { NodeConfig } from "../config/NodeConfig.ts"
import { Disk } from "../disk/Disk.ts"
import { Identity } from "../disk/Identity.ts"
import * as jsonFile from "../disk/jsonFile.ts"
import type { StorageError } from "../disk/StorageError.ts"
import { counterMax, type Version } from "../domain/Version.ts"
import { uptimeMillisUnsafe } from "../observability/uptime.ts"
import { Storage } from "../storage/Storage.ts"

/** Seconds of writes at full speed for one small synced file; at most this many are skipped by a restart. */
const blockSize = 100_000
/** A cluster needs months of writes to get this far ahead of a node that hears of it. */
export const jumpMax = 2 ** 40
/** Far more writes than any cluster takes in a millisecond. */
const counterPerMilliMax = 1_000_000
/** Counters that no peer can use up: enough to notice and to mend. */
const countersKept = 2 ** 40

export class LamportClock extends Context.Service<LamportClock, {
  /** A version above everything issued and observed before. */
  readonly next: Effect.Effect<Version, StorageError>
  /** Takes note of a counter seen on a peer's cell. `false`, and nothing changes, when it is absurdly far ahead. */
  readonly observe: (counter: number) => boolean
  readonly current: () => number
}>()("rondo/clock/LamportClock") {
  static readonly layer = Layer.effect(
    LamportClock,
    Effect.gen(function*() {
      const disk = yield* Disk
      const { dataDirectory } = yield* NodeConfig
      const { incarnation, nodeId } = yield* Identity
      const storage = yield* Storage
      const path = `${dataDirectory}/clock.json`
      let reserved = (yield* jsonFile.read(disk, path, Reservation))?.reserved ?? 0
      let counter = Math.max(reserved, yield* storage.counterMax)
      const reserving = yield* Semaphore.make(1)
      const clock = yield* Clock.Clock
      const startedAt = counter
      const startedAtMillis = uptimeMillisUnsafe(clock)

      const stamp = (): Version => ({ counter: ++counter, nodeId, incarnation })

      const reserve = Effect.suspend(() => {
        if (counter < reserved) return Effect.void
        if (counter >= counterMax) return Effect.die("every counter below 2^53 has been used")
        const until = Math.min(counter + blockSize, counterMax)
        return Effect.map(jsonFile.write(disk, path, JSON.stringify({ format: 1, reserved: until })), () => {
          reserved = until
        })
      })

      const next: Effect.Effect<Version, StorageError> = Effect.suspend(() =>
        counter < reserved
          ? Effect.succeed(stamp())
          : Effect.flatMap(Semaphore.withPermits(reserving, 1)(reserve), () => next)
      )

      return LamportClock.of({
        next,
        observe: (seen) => {
          if (seen <= counter) return true
          const runningMillis = uptimeMillisUnsafe(clock) - startedAtMillis
          // Measured from the start, not from the last jump: many small jumps get no further than one large one.
          const ceiling = startedAt + jumpMax + runningMillis * counterPerMilliMax
          if (seen > ceiling || seen > counterMax - countersKept) return false
          counter = seen
          return true
        },
        current: () => counter
      })
    })
  )
}

const Reservation = Schema.fromJsonString(Schema.Struct({ format: Schema.Literal(1), reserved: Schema.Natural }))
