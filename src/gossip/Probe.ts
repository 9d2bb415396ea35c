/**
 * Whether a member can be reached: by this node, or failing that by others on its behalf.
 *
 * Source: Das, Gupta, Motivala, "SWIM: Scalable Weakly-consistent Infection-style Process Group Membership Protocol"
 * (DSN 2002), section 3.1. Unlike there, the direct attempt continues beside the indirect ones.
 */
import { Effect, Fiber } from "effect"
import type { PeerClient } from "../peer/PeerClient.ts"
import type { Timing } from "./Suspicion.ts"

/** Answers after `timing.probeMillis` at the latest. `relays` are asked only when `target` does not answer soon. */
export const reaches = Effect.fnUntraced(function*(
  client: PeerClient["Service"],
  target: string,
  relays: ReadonlyArray<string>,
  timing: Timing
) {
  const ask = (address: string) => Effect.orElseSucceed(client.probe(address, target), () => false)
  return yield* Effect.gen(function*() {
    const direct = yield* Effect.forkChild(ask(target))
    const early = yield* Effect.timeoutOrElse(Fiber.join(direct), {
      duration: timing.directProbeMillis,
      orElse: () => Effect.succeed(false)
    })
    return early || (yield* anyTrue([Fiber.join(direct), ...relays.map(ask)]))
  }).pipe(Effect.timeoutOrElse({ duration: timing.probeMillis, orElse: () => Effect.succeed(false) }))
})

/** True with the first that is, false when none is. */
const anyTrue = (answers: ReadonlyArray<Effect.Effect<boolean>>): Effect.Effect<boolean> =>
  Effect.raceAll(answers.map((answer) => Effect.filterOrFail(answer, (reached) => reached, () => "not reached"))).pipe(
    Effect.orElseSucceed(() => false)
  )
