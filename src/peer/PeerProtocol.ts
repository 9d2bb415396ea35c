/** The messages of gossip. Unknown fields are ignored, unknown protocol versions refused. */
import { Schema } from "effect"
import { vnodesMax } from "../config/NodeConfig.ts"
import { NodeId } from "../domain/NodeId.ts"
import { Incarnation } from "../domain/Version.ts"

export const protocolVersion = 3

/** `joining`, `leaving`, `left` and `removed` come with membership changes. */
export const MemberState = Schema.Literals(["up"])

/** Far above what starts and rounds can reach, and far below 2^53: a node raises its own above all that it hears of. */
export const ageMax = 2 ** 48

const Age = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: ageMax }))

/** One node as the cluster knows it. Only the node itself raises `generation` and `heartbeat`. */
export const MemberRecord = Schema.Struct({
  nodeId: NodeId,
  incarnation: Incarnation,
  /** Starts of this node. A higher one wins over any heartbeat. */
  generation: Age,
  /** Gossip rounds since that start, and one for each refutation. */
  heartbeat: Age,
  address: Schema.String,
  /** Bounded, since every node computes the tokens of all. */
  vnodes: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: vnodesMax })),
  state: MemberState,
  /** The node's Lamport clock, so that a newcomer starts near everyone else's. */
  counter: Schema.Natural
})
export type MemberRecord = typeof MemberRecord.Type

/** How new the sender's state of a member is, without the state. */
export const MemberDigest = Schema.Struct({ nodeId: NodeId, generation: Age, heartbeat: Age })
export type MemberDigest = typeof MemberDigest.Type

/**
 * One half of an exchange. The first message has `digests` of all known members. The reply has the records that the
 * sender lacked and, in `wanted`, the members that the sender knows better; a second message brings those. A message
 * without digests asks for nothing back. Every message is news of its sender.
 */
export const GossipMessage = Schema.Struct({
  protocol: Schema.Int,
  from: MemberRecord,
  /** `ClusterSettings` of the sender. They must equal the receiver's, or it refuses the message. */
  settings: Schema.Record(Schema.String, Schema.Int),
  digests: Schema.Array(MemberDigest),
  records: Schema.Array(MemberRecord),
  /** Members that the sender considers suspect or down, so that they can refute. */
  accused: Schema.Array(MemberDigest)
})
export type GossipMessage = typeof GossipMessage.Type

export const GossipReply = Schema.Struct({
  protocol: Schema.Int,
  records: Schema.Array(MemberRecord),
  wanted: Schema.Array(NodeId)
})
export type GossipReply = typeof GossipReply.Type
