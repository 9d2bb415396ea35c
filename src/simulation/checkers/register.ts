/**
 * One key's history as steps, to be put in an order in which a register shows what the clients saw.
 *
 * Pure. Values of puts are unique, so:
 * - A put whose value was read took effect before the first such read ended, whatever its own client learned.
 * - A put of unknown outcome that nobody read may be left out: taking effect could only hide another value.
 * - A delete of unknown outcome stays optional, since an absent answer does not say which delete it saw.
 */
import type { Operation } from "../History.ts"

/** An operation that must have its place in the order. */
export interface Step {
  readonly operation: Operation
  readonly began: number
  /** Its place is before this moment. */
  readonly ended: number
  /** The index of the value that it writes or saw; 0 for an absent key. */
  readonly value: number
  readonly isRead: boolean
}

export interface Register {
  /** By beginning. */
  readonly steps: ReadonlyArray<Step>
  /** By beginning. */
  readonly optionalDeletes: ReadonlyArray<Operation>
  /** How many steps read a value, by its index. */
  readonly readsOfValue: ReadonlyArray<number>
  /** Reads of values that nobody wrote. */
  readonly impossible: ReadonlyArray<Operation>
}

export const absent = 0

export const make = (operations: ReadonlyArray<Operation>): Register => {
  const inOrder = operations.toSorted((left, right) => left.began - right.began)
  const indexes = indexesOfPuts(inOrder)
  const readsOfValue = Array.from({ length: indexes.size + 1 }, () => 0)
  const firstReadEnded = Array.from({ length: indexes.size + 1 }, () => Infinity)
  const impossible: Array<Operation> = []
  for (const operation of inOrder) {
    const value = valueRead(operation, indexes)
    if (value === "nobody's") impossible.push(operation)
    if (typeof value !== "number") continue
    readsOfValue[value]!++
    firstReadEnded[value] = Math.min(firstReadEnded[value]!, operation.ended)
  }
  const steps: Array<Step> = []
  const optionalDeletes: Array<Operation> = []
  for (const operation of inOrder) {
    const { began, ended, kind, outcome } = operation
    const isAcknowledged = outcome?._tag === "Ok"
    if (kind === "get") {
      const value = valueRead(operation, indexes)
      if (typeof value === "number") steps.push({ operation, began, ended, value, isRead: true })
    } else if (outcome?._tag === "NotApplied") continue
    else if (kind === "delete") {
      if (isAcknowledged) steps.push({ operation, began, ended, value: absent, isRead: false })
      else optionalDeletes.push(operation)
    } else {
      const value = indexes.get(operation.value)!
      if (!isAcknowledged && readsOfValue[value] === 0) continue
      const endedMax = Math.min(isAcknowledged ? ended : Infinity, firstReadEnded[value]!)
      steps.push({ operation, began, ended: endedMax, value, isRead: false })
    }
  }
  return { steps, optionalDeletes, readsOfValue, impossible }
}

const indexesOfPuts = (operations: ReadonlyArray<Operation>): ReadonlyMap<string | undefined, number> => {
  const indexes = new Map<string | undefined, number>()
  for (const { kind, outcome, value } of operations) {
    if (kind === "put" && outcome?._tag !== "NotApplied") indexes.set(value, indexes.size + 1)
  }
  return indexes
}

/** `undefined` when it is no read, or one that failed. */
const valueRead = (
  { kind, outcome }: Operation,
  indexes: ReadonlyMap<string | undefined, number>
): number | "nobody's" | undefined => {
  if (kind !== "get" || outcome?._tag !== "Ok") return undefined
  return outcome.value === undefined ? absent : indexes.get(outcome.value) ?? "nobody's"
}
