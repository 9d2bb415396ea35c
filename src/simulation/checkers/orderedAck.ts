/** An acknowledged write never loses to a write that was acknowledged before it began. */
import * as Version from "../../domain/Version.ts"
import type { Checker, Violation } from "../History.ts"
import { byBeginning, keyHistories } from "./KeyHistory.ts"
import { forEachWithNewestBefore } from "./newestBefore.ts"
import { operationWords, shownWords } from "./words.ts"

export const orderedAck: Checker = (run) => {
  const violations: Array<Violation> = []
  for (const { acknowledged } of keyHistories(run)) {
    const byBegin = acknowledged.toSorted(byBeginning)
    forEachWithNewestBefore(run, acknowledged, byBegin, (write, newest) => {
      if (Version.compare(write.version, newest.version) > 0) return
      violations.push({
        promise: "ordered-ack",
        detail: `${operationWords(write.operation)} was acknowledged with ${Version.format(write.version)}, ` +
          `not above ${shownWords(newest)} of ${operationWords(newest.operation)}, acknowledged before it began`,
        operations: [newest.operation, write.operation]
      })
    })
  }
  return violations
}
