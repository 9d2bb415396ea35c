/**
 * Whether this node may have lost what it once acknowledged: its data directory is new or was salvaged, and it has not
 * yet compared its partitions with every other replica. Until then it stores cells, but answers no reads and counts for
 * no write quorum.
 */
import { Context, Effect, Layer } from "effect"
import { Identity } from "../disk/Identity.ts"
import type { StorageError } from "../disk/StorageError.ts"
import { PeerFailed } from "../peer/PeerError.ts"
import { Storage } from "../storage/Storage.ts"

export class Recovery extends Context.Service<Recovery, {
  /** A plain call: it is on the path of every request. */
  readonly isRecovering: () => boolean
  /** How this node refuses while it is recovering. */
  readonly refusal: () => PeerFailed
  /** Ends it, durably. */
  readonly settle: Effect.Effect<void, StorageError>
}>()("rondo/anti-entropy/Recovery") {
  static readonly layer = Layer.effect(
    Recovery,
    Effect.gen(function*() {
      const identity = yield* Identity
      const storage = yield* Storage
      let isRecovering = identity.fresh || storage.salvaged
      return Recovery.of({
        isRecovering: () => isRecovering,
        refusal: () =>
          new PeerFailed({
            peer: identity.nodeId,
            reason: "recovering",
            detail: "its data directory is new or salvaged, and not yet compared with its replicas"
          }),
        settle: Effect.map(identity.markSettled, () => {
          isRecovering = false
        })
      })
    })
  )
}
