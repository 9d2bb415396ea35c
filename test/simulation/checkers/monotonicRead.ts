/**
 * Once a quorum read has returned a version, no later quorum read, on any node, returns an older one. A version always
 * shows the same value, at any quorum.
 */
import * as Version from "../../../src/domain/Version.ts"
import type { Checker, Violation } from "../History.ts"
import { byEnd, isStamped, keyHistories, type Stamped } from "./KeyHistory.ts"
import { forEachWithNewestBefore } from "./newestBefore.ts"
import { operationWords, shownWords } from "./words.ts"

export const monotonicRead: Checker = (run) => {
  const violations: Array<Violation> = []
  const violated = (first: Stamped, second: Stamped | { readonly operation: Stamped["operation"] }, detail: string) =>
    violations.push({ promise: "monotonic-read", detail, operations: [first.operation, second.operation] })
  for (const { reads } of keyHistories(run)) {
    const stamped = reads.filter(isStamped)
    forEachWithNewestBefore(run, stamped.toSorted(byEnd), reads, (read, newest) => {
      if (read.version !== undefined && Version.compare(read.version, newest.version) >= 0) return
      violated(
        newest,
        read,
        `${operationWords(read.operation)} saw ${shownWords(read)}, ` +
          `though ${operationWords(newest.operation)} had seen ${shownWords(newest)} before it began`
      )
    })
    const firstByVersion = new Map<string, Stamped>()
    for (const read of stamped) {
      const version = Version.format(read.version)
      const first = firstByVersion.get(version)
      if (first === undefined) firstByVersion.set(version, read)
      else if (first.value !== read.value) {
        violated(
          first,
          read,
          `${operationWords(read.operation)} saw ${shownWords(read)}, ` +
            `and ${operationWords(first.operation)} saw ${shownWords(first)}`
        )
      }
    }
  }
  return violations
}
