/**
 * The members as this node knows them now: their records, its opinion of each, and a stream of changes.
 *
 * Plain synchronous calls, so that no fiber ever sees a half-made change.
 *
 * Invariants
 * - Only this node raises its own record; one that arrives from elsewhere and is newer is outbid.
 * - A record that is implausibly far ahead of the known one is ignored, unless its own node sent it.
 * - A list that `members` returned never changes.
 */
import { Effect, PubSub, Stream } from "effect"
import type { NodeId } from "../domain/NodeId.ts"
import type { MemberRecord } from "../peer/PeerProtocol.ts"
import * as Membership from "./Membership.ts"
import * as Suspicion from "./Suspicion.ts"

export interface Member {
  readonly record: MemberRecord
  readonly liveness: Suspicion.Liveness
  /** When news of the member last arrived, on the clock of `uptime`. */
  readonly heardAtMillis: number
}

export interface MemberTable {
  readonly own: () => MemberRecord
  /** Raises the own heartbeat and takes note of the Lamport clock. */
  readonly beat: (counter: number, nowMillis: number) => void
  /**
   * Takes over the newer records, each of which is news of its member. The `sender`'s record of itself is always
   * plausible, so that a node that missed any number of its refutations still learns the next. Returns whether somebody
   * spread a newer record of this node, which now has one above it.
   */
  readonly merge: (records: ReadonlyArray<MemberRecord>, nowMillis: number, sender?: NodeId) => boolean
  /** The records alone, current at every call. */
  readonly records: Membership.Membership
  readonly members: () => ReadonlyArray<Member>
  /** `undefined` for this node and for those it does not know. */
  readonly opinion: (nodeId: NodeId) => Suspicion.Opinion | undefined
  readonly judge: (nodeId: NodeId, revise: (opinion: Suspicion.Opinion) => Suspicion.Opinion) => void
  /** The members at once, then again when one joins or its record (except the heartbeat) or liveness changes. */
  readonly changes: Stream.Stream<ReadonlyArray<Member>>
}

export const make = Effect.fnUntraced(function*(initialOwn: MemberRecord, startedAtMillis: number) {
  let own = initialOwn
  const records = new Map([[own.nodeId, own]])
  const opinions = new Map([[own.nodeId, Suspicion.initial(startedAtMillis)]])
  let snapshot: ReadonlyArray<Member> | undefined
  const published = yield* PubSub.unbounded<ReadonlyArray<Member>>({ replay: 1 })

  const memberOf = (record: MemberRecord): Member => {
    const { heardAtMillis, liveness } = opinions.get(record.nodeId)!
    return { record, liveness, heardAtMillis }
  }
  const members = () =>
    snapshot ??= Array.from(records.values(), memberOf).sort((left, right) =>
      left.record.nodeId < right.record.nodeId ? -1 : 1
    )
  const publish = () => {
    PubSub.publishUnsafe(published, members())
  }
  const changeOwn = (changed: MemberRecord) => {
    own = changed
    records.set(own.nodeId, own)
    snapshot = undefined
  }

  /** Whether more than the heartbeat changed. */
  const learn = (record: MemberRecord, nowMillis: number, sender: NodeId | undefined): boolean => {
    const known = records.get(record.nodeId)
    if (known !== undefined && Membership.compare(record, known) <= 0) return false
    if (known !== undefined && record.nodeId !== sender && !Membership.isPlausible(record, known)) return false
    records.set(record.nodeId, record)
    snapshot = undefined
    if (known === undefined) {
      opinions.set(record.nodeId, Suspicion.initial(nowMillis))
      return true
    }
    judge(record.nodeId, (opinion) => Suspicion.heard(opinion, nowMillis))
    return !Membership.looksAlike(record, known)
  }

  const judge: MemberTable["judge"] = (nodeId, revise) => {
    const before = opinions.get(nodeId)
    if (before === undefined || nodeId === own.nodeId) return
    const after = revise(before)
    if (after === before) return
    opinions.set(nodeId, after)
    snapshot = undefined
    if (after.liveness !== before.liveness) publish()
  }

  const merge: MemberTable["merge"] = (arrived, nowMillis, sender) => {
    const ofOwn = arrived
      .filter((record) => record.nodeId === own.nodeId && Membership.isPlausible(record, own))
      .reduce(Membership.merge, own)
    const isOutbid = Membership.compare(ofOwn, own) > 0
    if (isOutbid) changeOwn(Membership.above(own, ofOwn))
    const changed = arrived.filter((record) => record.nodeId !== own.nodeId && learn(record, nowMillis, sender))
    if (isOutbid || changed.length > 0) publish()
    return isOutbid
  }

  publish()
  const table: MemberTable = {
    own: () => own,
    beat: (counter, nowMillis) => {
      opinions.set(own.nodeId, Suspicion.initial(nowMillis))
      changeOwn({ ...Membership.beaten(own), counter })
    },
    merge,
    records,
    members,
    opinion: (nodeId) => nodeId === own.nodeId ? undefined : opinions.get(nodeId),
    judge,
    changes: Stream.fromPubSub(published)
  }
  return table
})
