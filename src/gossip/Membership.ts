/**
 * Merges the records that two nodes have of the members, and selects those that each must send to agree.
 *
 * Pure.
 * Source: van Renesse, Dumitriu, Gough, Thomas, "Efficient Reconciliation and Flow Control for Anti-Entropy
 * Protocols" (LADIS 2008): per-member versions, exchanged as digests. Generations as in Cassandra's gossiper.
 *
 * Invariants
 * - Merging is commutative, associative and idempotent, member by member, so the order of messages does not matter.
 * - A node changes its own record only together with its generation or heartbeat, so equal ones mean equal records.
 */
import { Order } from "effect"
import type { NodeId } from "../domain/NodeId.ts"
import { ageMax, type MemberDigest, type MemberRecord } from "../peer/PeerProtocol.ts"

export type Membership = ReadonlyMap<NodeId, MemberRecord>

/**
 * Positive when `left` is newer. Records of one generation and heartbeat differ only when two nodes use one id or a
 * node lost its disk and counts from the start again; they still resolve the same way everywhere.
 */
export const compare = (left: MemberRecord, right: MemberRecord): number =>
  compareAge(left, right) ||
  Order.String(left.incarnation, right.incarnation) ||
  Order.String(left.address, right.address)

const compareAge = (left: MemberDigest, right: MemberDigest): number =>
  left.generation - right.generation || left.heartbeat - right.heartbeat

/** The newer of two records of one member. */
export const merge = (left: MemberRecord, right: MemberRecord): MemberRecord => compare(left, right) >= 0 ? left : right

export const digestOf = ({ generation, heartbeat, nodeId }: MemberRecord): MemberDigest => ({
  nodeId,
  generation,
  heartbeat
})

/** Records that the sender of the digests lacks, or of which it has older ones. */
export const newerThan = (known: Membership, digests: ReadonlyArray<MemberDigest>): ReadonlyArray<MemberRecord> => {
  const theirs = new Map(digests.map((digest) => [digest.nodeId, digest]))
  return Array.from(known.values()).filter((record) => {
    const digest = theirs.get(record.nodeId)
    return digest === undefined || compareAge(record, digest) > 0
  })
}

/** Members of which the sender of the digests knows more. */
export const wanted = (known: Membership, digests: ReadonlyArray<MemberDigest>): ReadonlyArray<NodeId> =>
  digests
    .filter((digest) => {
      const record = known.get(digest.nodeId)
      return record === undefined || compareAge(digest, record) > 0
    })
    .map(({ nodeId }) => nodeId)

/** Whether the accusation is of the member's present state, so that only a newer one can refute it. */
export const accuses = (accused: ReadonlyArray<MemberDigest>, own: MemberRecord): boolean =>
  accused.some((digest) => digest.nodeId === own.nodeId && compareAge(digest, own) >= 0 && isPlausible(digest, own))

/** More starts of a node than anybody can have missed. */
const generationLeapMax = 2 ** 20

/** Whether the news may follow the known record. A leap would bring a node near the highest generation. */
export const isPlausible = (news: MemberDigest, known: MemberRecord): boolean =>
  news.generation - known.generation <= generationLeapMax

/** A record of this node that is newer than `than`, unless `ageMax` is reached. */
export const above = (own: MemberRecord, than: MemberDigest): MemberRecord => ({
  ...own,
  generation: Math.min(than.generation + 1, ageMax),
  heartbeat: 0
})

/** The next heartbeat; after the last one, the next generation. */
export const beaten = (own: MemberRecord): MemberRecord =>
  own.heartbeat < ageMax ? { ...own, heartbeat: own.heartbeat + 1 } : above(own, own)

/** Whether two records of one member differ at most in the numbers that every round raises. */
export const looksAlike = (left: MemberRecord, right: MemberRecord): boolean =>
  left.incarnation === right.incarnation &&
  left.generation === right.generation &&
  left.address === right.address &&
  left.vnodes === right.vnodes &&
  left.state === right.state

/** The same of two lists, each sorted by node id. */
export const allLookAlike = (left: ReadonlyArray<MemberRecord>, right: ReadonlyArray<MemberRecord>): boolean =>
  left.length === right.length &&
  left.every((record, index) => record.nodeId === right[index]!.nodeId && looksAlike(record, right[index]!))
