/** Whether somebody can have written what a client or a replica shows. */
import * as Version from "../../../src/domain/Version.ts"
import type { Operation } from "../History.ts"
import type { KeyHistory, Shown, Stamped } from "./KeyHistory.ts"
import { shortened } from "./words.ts"

export interface Provenance {
  /** Why nobody can have written `shown` before `before`, and the writes that tell; `undefined` when somebody can have. */
  readonly madeUp: (shown: Shown, before: number) => MadeUp | undefined
}

export interface MadeUp {
  readonly why: string
  readonly writes: ReadonlyArray<Operation>
}

export const make = (history: KeyHistory): Provenance => {
  const acknowledged = new Map(history.acknowledged.map((write) => [Version.format(write.version), write]))
  return {
    madeUp: ({ value, version }, before) => {
      if (version === undefined) {
        return value === undefined ? undefined : { why: "a value without a version", writes: [] }
      }
      const write = acknowledged.get(Version.format(version))
      if (write !== undefined && write.value !== value) return other(write)
      return value === undefined
        ? madeUpTombstone(history, version, before)
        : madeUpValue(history.putsByValue.get(value), version, before)
    }
  }
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
