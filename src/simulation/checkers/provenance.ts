/** Whether any client can have written the cell that a read or a replica shows. */
import * as Version from "../../domain/Version.ts"
import type { Operation } from "../History.ts"
import { byVersion, type KeyHistory, type Shown, type Stamped } from "./KeyHistory.ts"
import { shortened } from "./words.ts"

export interface Provenance {
  /** Why no client can have written `shown` before `before`, with the writes that show it; `undefined` when one can. */
  readonly madeUp: (shown: Shown, before: number) => MadeUp | undefined
}

export interface MadeUp {
  readonly why: string
  readonly writes: ReadonlyArray<Operation>
}

export const make = (history: KeyHistory): Provenance => {
  const acknowledged = history.acknowledged.toSorted(byVersion)
  return {
    madeUp: ({ value, version }, before) => {
      if (version === undefined) {
        return value === undefined ? undefined : { why: "a value without a version", writes: [] }
      }
      const write = find(acknowledged, version)
      if (write !== undefined && write.value !== value) return other(write)
      return value === undefined
        ? madeUpTombstone(history, version, before)
        : madeUpValue(history.putsByValue.get(value), version, before)
    }
  }
}

/** By bisection: this runs for every read, and a text for each version would take most of the time. */
const find = (sorted: ReadonlyArray<Stamped>, version: Version.Version): Stamped | undefined => {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (Version.compare(sorted[middle]!.version, version) < 0) low = middle + 1
    else high = middle
  }
  const found = sorted[low]
  return found !== undefined && Version.compare(found.version, version) === 0 ? found : undefined
}

const other = ({ operation, value }: Stamped): MadeUp => ({
  why: `this version was acknowledged for ${value === undefined ? "a delete" : `the value ${shortened(value)}`}, ` +
    `operation ${operation.id}`,
  writes: [operation]
})

const madeUpValue = (put: Operation | undefined, version: Version.Version, before: number): MadeUp | undefined => {
  if (put === undefined) return { why: "nobody wrote this value to this key", writes: [] }
  const why = whyNot(put, version, before)
  return why === undefined ? undefined : { why: `its write ${why}`, writes: [put] }
}

const madeUpTombstone = ({ deletes }: KeyHistory, version: Version.Version, before: number): MadeUp | undefined =>
  deletes.some((each) => whyNot(each, version, before) === undefined)
    ? undefined
    : { why: "no delete of this key can have this version", writes: deletes }

/** A write may be stamped several times, and is acknowledged with its last and newest stamp. */
const whyNot = ({ began, outcome }: Operation, version: Version.Version, before: number): string | undefined => {
  if (began >= before) return "had not begun"
  if (outcome?._tag === "NotApplied") return "was refused as not applied"
  if (outcome?._tag !== "Ok" || outcome.version === undefined || Version.compare(version, outcome.version) <= 0) {
    return undefined
  }
  return `was acknowledged with the older version ${Version.format(outcome.version)}`
}
