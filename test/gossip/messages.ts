/** Messages between nodes, made by hand. */
import { defaults } from "../../src/config/ClusterConfig.ts"
import { NodeId } from "../../src/domain/NodeId.ts"
import { Incarnation } from "../../src/domain/Version.ts"
import { type GossipMessage, type MemberRecord, protocolVersion } from "../../src/peer/PeerProtocol.ts"

export const stranger: MemberRecord = {
  nodeId: NodeId.make("stranger"),
  incarnation: Incarnation.make("0123456789ab"),
  generation: 1,
  heartbeat: 1,
  address: "stranger:8080",
  vnodes: 100,
  state: "up",
  counter: 7
}

export const messageFrom = (from: MemberRecord, changes?: Partial<GossipMessage>): GossipMessage => ({
  protocol: protocolVersion,
  from,
  settings: { ...defaults, partitions: 128 },
  digests: [],
  records: [],
  accused: [],
  ...changes
})
