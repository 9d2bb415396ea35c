/**
 * Who is in the cluster, at which address, in what state; and this node's opinion of who is alive.
 *
 * Liveness is a local opinion and never changes the ring.
 */
import { Context, type Effect, type Stream } from "effect"
import type { NodeId } from "../domain/NodeId.ts"
import type { GossipMessage, GossipRefused, GossipReply, MemberRecord } from "../peer/PeerProtocol.ts"

export type Liveness = "up" | "suspect" | "down"

export interface Member {
  readonly record: MemberRecord
  readonly liveness: Liveness
  /** Milliseconds of the local clock when news of the member last arrived. */
  readonly heardAtMillis: number
}

export class Gossip extends Context.Service<Gossip, {
  readonly self: NodeId
  /** Everyone known, this node included, sorted by node id. A plain call: it is on the path of every request. */
  readonly members: () => ReadonlyArray<Member>
  /** Of an unknown node: `down`. Of this node: `up`. */
  readonly liveness: (nodeId: NodeId) => Liveness
  readonly address: (nodeId: NodeId) => string | undefined
  /** The current members at once, then again whenever a member appears, or its record (heartbeats aside) or liveness changes. */
  readonly changes: Stream.Stream<ReadonlyArray<Member>>
  /** Answers a peer's message; see `GossipMessage`. */
  readonly receive: (message: GossipMessage) => Effect.Effect<GossipReply, GossipRefused>
  /** A request to the member failed: probe it now instead of waiting for missed heartbeats. Returns at once. */
  readonly reportFailure: (nodeId: NodeId) => Effect.Effect<void>
  /** Sends an answer to SWIM's indirect probe: does this node reach `address`? */
  readonly probe: (address: string) => Effect.Effect<boolean>
}>()("rondo/gossip/Gossip") {}
