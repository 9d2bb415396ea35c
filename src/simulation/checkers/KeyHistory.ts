/** A run's history by key: its acknowledged writes, its reads, and the put of each value. Pure. */
import * as Version from "../../domain/Version.ts"
import type { FinalCell, FinalState, Operation, Run } from "../History.ts"

/** A deleted key has no value, an absent one no version either. */
export interface Shown {
  readonly version: Version.Version | undefined
  readonly value: string | undefined
}

/** The answer of an operation that succeeded. */
export interface Seen extends Shown {
  readonly operation: Operation
}

export interface Stamped extends Seen {
  readonly version: Version.Version
}

export interface KeyHistory {
  readonly key: string
  /** Acknowledged writes, by their end. */
  readonly acknowledged: ReadonlyArray<Stamped>
  /** Reads that were answered, by their beginning. */
  readonly reads: ReadonlyArray<Seen>
  readonly putsByValue: ReadonlyMap<string, Operation>
  readonly deletes: ReadonlyArray<Operation>
}

export const keyHistories = (run: Run): ReadonlyArray<KeyHistory> =>
  Array.from(operationsByKey(run), ([key, operations]) => make(key, operations))

export const operationsByKey = (run: Run): ReadonlyMap<string, ReadonlyArray<Operation>> => {
  const byKey = new Map<string, Array<Operation>>()
  for (const operation of run.operations) {
    const known = byKey.get(operation.key)
    if (known === undefined) byKey.set(operation.key, [operation])
    else known.push(operation)
  }
  return byKey
}

const make = (key: string, operations: ReadonlyArray<Operation>): KeyHistory => {
  const acknowledged: Array<Stamped> = []
  const reads: Array<Seen> = []
  const putsByValue = new Map<string, Operation>()
  const deletes: Array<Operation> = []
  for (const operation of operations) {
    const { kind, outcome, value } = operation
    if (kind === "delete") deletes.push(operation)
    else if (kind === "put" && value !== undefined) putsByValue.set(value, operation)
    if (outcome?._tag !== "Ok") continue
    const { version } = outcome
    if (kind === "get") reads.push({ operation, version, value: outcome.value })
    else if (version !== undefined) acknowledged.push({ operation, version, value })
  }
  return {
    key,
    acknowledged: acknowledged.sort(byEnd),
    reads: reads.sort(byBeginning),
    putsByValue,
    deletes
  }
}

export const byEnd = (left: Seen, right: Seen): number => left.operation.ended - right.operation.ended
export const byBeginning = (left: Seen, right: Seen): number => left.operation.began - right.operation.began

export const byVersion = (left: Stamped, right: Stamped): number => Version.compare(left.version, right.version)

export const isStamped = (seen: Seen): seen is Stamped => seen.version !== undefined

/** The one with the newest version; `undefined` of none. */
export const newest = (all: ReadonlyArray<Stamped>): Stamped | undefined => {
  let found = all[0]
  for (const each of all) if (Version.compare(each.version, found!.version) > 0) found = each
  return found
}

/** The final cells by key, then by node. */
export const finalCellsByKey = (final: FinalState): ReadonlyMap<string, ReadonlyMap<string, FinalCell>> => {
  const byKey = new Map<string, Map<string, FinalCell>>()
  for (const [node, cells] of final.cells) {
    for (const cell of cells) {
      const known = byKey.get(cell.key)
      if (known === undefined) byKey.set(cell.key, new Map([[node, cell]]))
      else known.set(node, cell)
    }
  }
  return byKey
}
