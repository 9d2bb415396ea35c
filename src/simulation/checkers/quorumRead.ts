/**
 * With R + W > N, a read that begins after a write was acknowledged returns that write or a newer one; and no read, of
 * any quorum, returns a cell that nobody wrote.
 *
 * No tombstone is purged so far, so an absent answer after an acknowledged delete breaks the promise as well.
 */
import * as Version from "../../domain/Version.ts"
import type { Checker, Violation } from "../History.ts"
import { keyHistories, type KeyHistory } from "./KeyHistory.ts"
import { forEachWithNewestBefore } from "./newestBefore.ts"
import * as Provenance from "./provenance.ts"
import { operationWords, shownWords } from "./words.ts"

export const quorumRead: Checker = (run) => {
  const violations: Array<Violation> = []
  for (const history of keyHistories(run)) {
    forEachWithNewestBefore(run, history.acknowledged, history.reads, (read, newest) => {
      if (read.version !== undefined && Version.compare(read.version, newest.version) >= 0) return
      violations.push({
        promise: "quorum-read",
        detail: `${operationWords(read.operation)} saw ${shownWords(read)}, ` +
          `though ${operationWords(newest.operation)} was acknowledged with ${Version.format(newest.version)} before`,
        operations: [newest.operation, read.operation]
      })
    })
    checkProvenance(history, violations)
  }
  return violations
}

const checkProvenance = (history: KeyHistory, violations: Array<Violation>): void => {
  const provenance = Provenance.make(history)
  for (const read of history.reads) {
    const madeUp = provenance.madeUp(read, read.operation.ended)
    if (madeUp === undefined) continue
    violations.push({
      promise: "quorum-read",
      detail: `${operationWords(read.operation)} saw ${shownWords(read)}, which is made up: ${madeUp.why}`,
      operations: [...madeUp.writes, read.operation]
    })
  }
}
