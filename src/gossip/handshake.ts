/**
 * Decides whether a node takes a message: same protocol, same settings, and no two nodes with one name.
 *
 * Pure.
 */
import * as ClusterConfig from "../config/ClusterConfig.ts"
import { type GossipMessage, type MemberRecord, protocolVersion } from "../peer/PeerProtocol.ts"
import type { Member } from "./MemberTable.ts"

/** Why `own` refuses the message, in words for both operators, or `undefined`. `known`: the sender as known so far. */
export const refusal = (
  { from, protocol, settings: theirs }: GossipMessage,
  own: MemberRecord,
  settings: ClusterConfig.ClusterSettings,
  known: Member | undefined
): string | undefined => {
  if (protocol !== protocolVersion) return protocolMismatch(protocol, own)
  const differences = ClusterConfig.differences(
    { nodeId: own.nodeId, settings },
    { nodeId: from.nodeId, settings: theirs }
  )
  if (differences.length > 0) return `${differences.join("; ")}: nodes of one cluster must agree`
  if (known === undefined) return undefined
  const { liveness, record } = known
  if (from.nodeId === own.nodeId) {
    return comesFrom(from, own) ? undefined : sameName(from, own)
  }
  // A node that moved with its data, or lost its data and stayed, is the same. If the data and the address are
  // new while the known node is up, it is another node of this name.
  return liveness === "up" && from.incarnation !== record.incarnation && from.address !== record.address
    ? sameName(from, record)
    : undefined
}

export const protocolMismatch = (theirs: number, own: MemberRecord): string =>
  `the other node speaks protocol ${theirs}, ${own.nodeId} speaks protocol ${protocolVersion}`

/** Whether two records of one node come from one data directory at one address. */
export const comesFrom = (left: MemberRecord, right: MemberRecord): boolean =>
  left.incarnation === right.incarnation && left.address === right.address

const sameName = (left: MemberRecord, right: MemberRecord) =>
  `two nodes are called ${left.nodeId}: one at ${left.address}, one at ${right.address}`
