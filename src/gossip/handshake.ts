/**
 * Whether a message may be taken at all: the same protocol, the same settings, and no two nodes of one name.
 *
 * Pure.
 */
import type { ClusterSettings } from "../config/ClusterConfig.ts"
import { type GossipMessage, type MemberRecord, protocolVersion } from "../peer/PeerProtocol.ts"
import type { Member } from "./MemberTable.ts"

export type SharedSettings = Pick<ClusterSettings, "partitions" | "replicationFactor">

/** Why `own` cannot take the message, as a sentence for both operators, or `undefined`. `known`: the sender as `own` knows it. */
export const refusal = (
  { from, protocol, settings: theirs }: GossipMessage,
  own: MemberRecord,
  settings: SharedSettings,
  known: Member | undefined
): string | undefined => {
  if (protocol !== protocolVersion) return protocolMismatch(protocol, own)
  if (theirs.replicationFactor !== settings.replicationFactor || theirs.partitions !== settings.partitions) {
    return `${from.nodeId} has ${inWords(theirs)}, ${own.nodeId} has ${inWords(settings)}`
  }
  if (known === undefined) return undefined
  const { liveness, record } = known
  if (from.nodeId === own.nodeId) {
    return comesFrom(from, own) ? undefined : sameName(from, own)
  }
  // A node that moved with its data, or lost them and stayed, is the same; one that did neither and is up is another.
  return liveness === "up" && from.incarnation !== record.incarnation && from.address !== record.address
    ? sameName(from, record)
    : undefined
}

export const protocolMismatch = (theirs: number, own: MemberRecord): string =>
  `protocol ${theirs}, ${own.nodeId} speaks ${protocolVersion}`

/** Whether two records of one node come from one data directory at one address. */
export const comesFrom = (left: MemberRecord, right: MemberRecord): boolean =>
  left.incarnation === right.incarnation && left.address === right.address

const sameName = (left: MemberRecord, right: MemberRecord) =>
  `two nodes are called ${left.nodeId}: one at ${left.address}, one at ${right.address}`

const inWords = ({ partitions, replicationFactor }: SharedSettings) =>
  `REPLICATION_FACTOR ${replicationFactor} and ${partitions} partitions`
