/**
 * After faults end, every replica of every key holds the same newest version within a bounded time; and a coordinator
 * that starts again still means to deliver the hints on its disk.
 */
import * as Version from "../../domain/Version.ts"
import type { Checker, FinalCell, ForgottenHints, Run, Violation } from "../History.ts"
import { finalCellsByKey } from "./KeyHistory.ts"
import { shownWords } from "./words.ts"

export const convergence: Checker = (run) => [
  ...run.forgottenHints.map(forgotten),
  ...checkBound(run),
  ...checkAgreement(run)
]

/** A comparison would make it good later, at many times the price. */
const forgotten = ({ atMillis, node, onDisk, peer, pending }: ForgottenHints): Violation => ({
  promise: "convergence",
  detail:
    `${node} had ${onDisk} hints for ${peer} on its disk and, started again at ${atMillis.toFixed(0)} ms, takes up ` +
    `${pending}`,
  operations: []
})

const checkBound = ({ final: { convergedAfterMillis, convergenceBoundMillis } }: Run): ReadonlyArray<Violation> => {
  if (convergedAfterMillis !== undefined && convergedAfterMillis <= convergenceBoundMillis) return []
  const detail = convergedAfterMillis === undefined
    ? `replicas did not agree within ${convergenceBoundMillis} ms after the last fault`
    : `replicas agreed ${convergedAfterMillis} ms after the last fault, later than ${convergenceBoundMillis} ms`
  return [{ promise: "convergence", detail, operations: [] }]
}

const checkAgreement = (run: Run): ReadonlyArray<Violation> => {
  const violations: Array<Violation> = []
  for (const [key, cells] of finalCellsByKey(run.final)) {
    const replicas = run.final.replicasOf(key)
    const first = cells.get(replicas[0] ?? "")
    if (replicas.every((node) => isSame(first, cells.get(node)))) continue
    violations.push({
      promise: "convergence",
      detail: `replicas of ${key} differ: ` +
        replicas.map((node) => `${node} holds ${words(cells.get(node))}`).join(", "),
      operations: []
    })
  }
  return violations
}

const isSame = (left: FinalCell | undefined, right: FinalCell | undefined): boolean =>
  left === undefined || right === undefined
    ? left === right
    : Version.compare(left.version, right.version) === 0 && left.value === right.value

const words = (cell: FinalCell | undefined): string => cell === undefined ? "nothing" : shownWords(cell)
