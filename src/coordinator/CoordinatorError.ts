/** How a client's operation fails: the numbers that were missing, and the `outcome` of a write. */
import { Schema } from "effect"
import { NodeId } from "../domain/NodeId.ts"

/** Why one replica did not count. */
export const ReplicaFailure = Schema.Struct({
  node: NodeId,
  /** `down`: known before, not asked. Others as in `PeerFailed`. */
  reason: Schema.String
})
export type ReplicaFailure = typeof ReplicaFailure.Type

/**
 * `not-applied`: nothing was sent anywhere, the write will never be seen.
 * `unknown`: some replica may have taken it; it may become visible. Writing again is safe.
 */
export const Outcome = Schema.Literals(["not-applied", "unknown"])
export type Outcome = typeof Outcome.Type

export const missing = {
  wanted: Schema.Int,
  got: Schema.Int,
  /** Replicas that the key has at the moment. */
  replicas: Schema.Int,
  failures: Schema.Array(ReplicaFailure)
}

export class WriteQuorumNotReached
  extends Schema.TaggedError<WriteQuorumNotReached>()("WriteQuorumNotReached", { ...missing, outcome: Outcome })
{
  override get message() {
    return `a write needs ${this.wanted} replicas, ${this.got} of ${this.replicas} took it` + list(this.failures)
  }
}

export class ReadQuorumNotReached extends Schema.TaggedError<ReadQuorumNotReached>()("ReadQuorumNotReached", missing) {
  override get message() {
    return `a read needs ${this.wanted} replicas, ${this.got} of ${this.replicas} answered` + list(this.failures)
  }
}

const list = (failures: ReadonlyArray<ReplicaFailure>) =>
  failures.length === 0 ? "" : ` (${failures.map(({ node, reason }) => `${node}: ${reason}`).join(", ")})`
