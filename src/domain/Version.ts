/**
 * A Lamport stamp that orders all writes of a key, whichever node took them. No wall clock takes part.
 *
 * Pure.
 * Source: Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System" (CACM 1978).
 *
 * Invariants
 * - Two different writes never carry the same version: the incarnation is drawn when a data directory is created,
 *   so a node that lost its disk, and with it its counter, does not reuse one.
 */
import { Schema } from "effect"
import { NodeId, nodeIdPattern } from "./NodeId.ts"

/** Twelve hexadecimal digits drawn once for a data directory. */
export const Incarnation = Schema.String.check(Schema.isPattern(/^[0-9a-f]{12}$/)).pipe(Schema.brand("Incarnation"))
export type Incarnation = typeof Incarnation.Type

/** A JavaScript number counts exactly up to here. */
export const counterMax = Number.MAX_SAFE_INTEGER

export const Version = Schema.Struct({
  counter: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: counterMax })),
  nodeId: NodeId,
  incarnation: Incarnation
})
export interface Version {
  readonly counter: number
  readonly nodeId: NodeId
  readonly incarnation: Incarnation
}

/** Negative when `left` is older, zero when they are the same write, positive when `left` is newer. */
export const compare = (left: Version, right: Version): number => {
  if (left.counter !== right.counter) return left.counter - right.counter
  if (left.nodeId !== right.nodeId) return left.nodeId < right.nodeId ? -1 : 1
  if (left.incarnation !== right.incarnation) return left.incarnation < right.incarnation ? -1 : 1
  return 0
}

/** `51-node1-9f86d081884c`, as in a client's `ETag` and in a cell's line. */
export const format = (version: Version): string => `${version.counter}-${version.nodeId}-${version.incarnation}`

const whole = new RegExp(`^([1-9][0-9]{0,15})-(${nodeIdPattern})-([0-9a-f]{12})$`)

/** Undoes `format`; `undefined` when `text` is not a version. A node id may itself contain dashes. */
export const parse = (text: string): Version | undefined => {
  const match = whole.exec(text)
  if (match === null) return undefined
  const counter = Number(match[1])
  if (counter > counterMax) return undefined
  return { counter, nodeId: match[2] as NodeId, incarnation: match[3] as Incarnation }
}
