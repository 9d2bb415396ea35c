/**
 * The rules that decide an attempt. Pure: the record of the answers so far goes in, a verdict comes out, or `undefined`
 * while the attempt is open. `Attempts.ts` asks the replicas and keeps the record.
 *
 * Invariants
 * - An attempt is decided as soon as enough replicas answered, or as soon as too few are left that may answer.
 * - An attempt whose time is up is decided.
 * - The order of the answers in a record does not change its verdict.
 *
 * Source: `enough/1` in riak_kv's riak_kv_put_core and riak_kv_get_core.
 */
import type { NodeId } from "../domain/NodeId.ts"
import * as Version from "../domain/Version.ts"
import type { WriteAnswer } from "../peer/PeerClient.ts"
import type { ReplicaFailure } from "./CoordinatorError.ts"

export interface Answer<A> {
  readonly node: NodeId
  readonly answer: A
}

/** The record of one attempt. */
export interface Answers<A> {
  /** In the order in which they came. */
  readonly given: ReadonlyArray<Answer<A>>
  /** Replicas that did not answer, and why. */
  readonly failures: ReadonlyArray<ReplicaFailure>
  /** How many replicas were asked and may still answer. */
  readonly open: number
  /** How many more may be asked. */
  readonly spares: number
  readonly isExpired: boolean
}

/** `absent` replicas are known to be down. */
export const begin = (open: number, spares: number, absent: ReadonlyArray<ReplicaFailure>): Answers<never> => ({
  given: [],
  failures: absent,
  open,
  spares,
  isExpired: false
})

export const answered = <A>(known: Answers<A>, node: NodeId, answer: A): Answers<A> => ({
  ...known,
  given: [...known.given, { node, answer }],
  open: known.open - 1
})

export const failed = <A>(known: Answers<A>, node: NodeId, reason: string): Answers<A> => ({
  ...known,
  failures: [...known.failures, { node, reason }],
  open: known.open - 1
})

export const spareAsked = <A>(known: Answers<A>): Answers<A> => ({
  ...known,
  open: known.open + 1,
  spares: known.spares - 1
})

export const expired = <A>(known: Answers<A>): Answers<A> => ({ ...known, isExpired: true })

/** Too few replicas can still answer, or the time is up. */
export interface NotEnough {
  readonly _tag: "NotEnough"
  /** How many answers counted. */
  readonly got: number
  readonly failures: ReadonlyArray<ReplicaFailure>
  readonly isExpired: boolean
}

export interface Enough<A> {
  readonly _tag: "Enough"
  readonly answers: ReadonlyArray<Answer<A>>
}

export interface Acknowledged {
  readonly _tag: "Acknowledged"
  readonly acks: number
  /** Whether one of the replicas that took the write held a value before. */
  readonly replaced: boolean
}

/** A replica holds something newer. */
export interface Superseded {
  readonly _tag: "Superseded"
  readonly newest: Version.Version
  readonly by: NodeId
}

/**
 * A write: replicas that took the cell as their newest count. One that holds something newer supersedes the write,
 * unless enough took it. One that cannot vouch for what it holds counts as failed.
 */
export const write =
  (wanted: number) => (known: Answers<WriteAnswer>): Acknowledged | Superseded | NotEnough | undefined => {
    let acks = 0
    let replaced = false
    let superseded: Superseded | undefined
    let { failures } = known
    for (const { answer, node } of known.given) {
      if (answer._tag === "Accepted") {
        acks++
        replaced ||= answer.replaced
      } else if (answer._tag === "Uncounted") {
        failures = [...failures, { node, reason: answer.reason }]
      } else if (superseded === undefined || Version.compare(answer.newest, superseded.newest) > 0) {
        superseded = { _tag: "Superseded", newest: answer.newest, by: node }
      }
    }
    if (acks >= wanted) return { _tag: "Acknowledged", acks, replaced }
    return superseded ?? notEnough(known, failures, acks, wanted)
  }

/** A read, or the repair of replicas: any answer counts. */
export const count = (wanted: number) => <A>(known: Answers<A>): Enough<A> | NotEnough | undefined =>
  known.given.length >= wanted
    ? { _tag: "Enough", answers: known.given }
    : notEnough(known, known.failures, known.given.length, wanted)

const notEnough = (
  { isExpired, open, spares }: Answers<unknown>,
  failures: ReadonlyArray<ReplicaFailure>,
  got: number,
  wanted: number
): NotEnough | undefined =>
  isExpired || got + open + spares < wanted ? { _tag: "NotEnough", got, failures, isExpired } : undefined
