/**
 * Once a quorum read has returned a version, no later quorum read, on any node, returns an older one. A version always
 * shows the same value, at any quorum.
 */
import * as Version from "../../domain/Version.ts"
import type { Checker, Violation } from "../History.ts"
import { byEnd, byVersion, isStamped, keyHistories, type Stamped } from "./KeyHistory.ts"
import { forEachWithNewestBefore } from "./newestBefore.ts"
import { operationWords, shownWords } from "./words.ts"

const promise = "monotonic-read"

export const monotonicRead: Checker = (run) => {
  const violations: Array<Violation> = []
  for (const { reads } of keyHistories(run)) {
    const stamped = reads.filter(isStamped)
    forEachWithNewestBefore(run, stamped.toSorted(byEnd), reads, (read, newest) => {
      if (read.version !== undefined && Version.compare(read.version, newest.version) >= 0) return
      const detail = `${operationWords(read.operation)} saw ${shownWords(read)}, ` +
        `though ${operationWords(newest.operation)} had seen ${shownWords(newest)} before it began`
      violations.push({ promise, detail, operations: [newest.operation, read.operation] })
    })
    checkValues(stamped, violations)
  }
  return violations
}

const checkValues = (reads: ReadonlyArray<Stamped>, violations: Array<Violation>): void => {
  let first: Stamped | undefined
  for (const read of reads.toSorted(byVersion)) {
    if (first === undefined || Version.compare(first.version, read.version) !== 0) first = read
    else if (first.value !== read.value) {
      const detail = `${operationWords(read.operation)} saw ${shownWords(read)}, ` +
        `and ${operationWords(first.operation)} saw ${shownWords(first)}`
      violations.push({ promise, detail, operations: [first.operation, read.operation] })
    }
  }
}
