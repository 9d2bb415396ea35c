/** A deleted key stays deleted: in reads that share a replica with the delete, and on every replica at the end. */
import * as Version from "../../domain/Version.ts"
import type { Checker, Operation, Violation } from "../History.ts"
import { finalCellsByKey, keyHistories, type KeyHistory, newest, type Shown, type Stamped } from "./KeyHistory.ts"
import { forEachWithNewestBefore } from "./newestBefore.ts"
import { survivors } from "./survival.ts"
import { operationWords, shownWords } from "./words.ts"

export const noResurrection: Checker = (run) => {
  const violations: Array<Violation> = []
  const cells = finalCellsByKey(run.final)
  const survives = survivors(run)
  for (const history of keyHistories(run)) {
    const deletes = history.acknowledged.filter(({ operation }) => operation.kind === "delete" && survives(operation))
    const last = newest(deletes)
    if (last === undefined) continue
    const report = (who: string, deleted: Stamped, shown: Shown, operations: ReadonlyArray<Operation>) =>
      violations.push({
        promise: "no-resurrection",
        detail: `${who} ${shownWords(shown)}, though ${operationWords(deleted.operation)} ` +
          `was acknowledged with ${Version.format(deleted.version)}`,
        operations: [...withPut(history, shown), deleted.operation, ...operations]
      })
    forEachWithNewestBefore(run, deletes, history.reads, (read, deleted) => {
      if (isResurrected(history, read, deleted)) {
        report(`${operationWords(read.operation)} saw`, deleted, read, [read.operation])
      }
    })
    for (const node of run.final.replicasOf(history.key)) {
      const cell = cells.get(history.key)?.get(node)
      if (cell !== undefined && isResurrected(history, cell, last)) report(`${node} ends with`, last, cell, [])
    }
  }
  return violations
}

/** Also when an old value came back under a new version. */
const isResurrected = (history: KeyHistory, { value, version }: Shown, deleted: Stamped): boolean => {
  if (value === undefined || version === undefined) return false
  return Version.compare(version, deleted.version) < 0 ||
    !canBeNewer(history.putsByValue.get(value), deleted.version)
}

/** A write of unknown outcome can be newer than any delete: one of its messages may be on its way for long. */
const canBeNewer = (put: Operation | undefined, deleted: Version.Version): boolean => {
  if (put === undefined || put.outcome?._tag === "NotApplied") return false
  return put.outcome?._tag !== "Ok" || put.outcome.version === undefined ||
    Version.compare(put.outcome.version, deleted) > 0
}

const withPut = (history: KeyHistory, { value }: Shown): ReadonlyArray<Operation> => {
  const put = value === undefined ? undefined : history.putsByValue.get(value)
  return put === undefined ? [] : [put]
}
