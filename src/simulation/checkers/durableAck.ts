/**
 * In the end every replica of a key holds each acknowledged write of it, or a newer one, unless all copies may have
 * been destroyed; no node holds a cell that nobody wrote; and no replica forgot a cell that it had taken: at its start,
 * or, when tables rotted, without saying so.
 *
 * No tombstone is purged so far, so a replica without a cell has lost it.
 */
import * as Version from "../../domain/Version.ts"
import type { Checker, FinalCell, Forgotten, Operation, Run, Violation } from "../History.ts"
import { finalCellsByKey, keyHistories, type KeyHistory } from "./KeyHistory.ts"
import * as Provenance from "./provenance.ts"
import { survivors } from "./survival.ts"
import { operationWords, shownWords } from "./words.ts"

type Survives = (operation: Operation) => boolean
type CellsByNode = ReadonlyMap<string, FinalCell>

export const durableAck: Checker = (run) => {
  const violations: Array<Violation> = run.forgotten.map(forgotten)
  const cellsByKey = finalCellsByKey(run.final)
  const survives = survivors(run)
  const untouched = new Set(cellsByKey.keys())
  for (const history of keyHistories(run)) {
    const cells: CellsByNode = cellsByKey.get(history.key) ?? new Map()
    untouched.delete(history.key)
    checkLosses(run, survives, history, cells, violations)
    checkProvenance(history, cells, violations)
  }
  for (const key of untouched) {
    for (const [node, cell] of cellsByKey.get(key)!) {
      violations.push({
        promise: "durable-ack",
        detail: `${node} ends with ${shownWords(cell)} of ${key}, which is made up: nobody ever wrote to this key`,
        operations: []
      })
    }
  }
  return violations
}

/** Repair would soon hide it, until the day when W replicas forget at once. */
const forgotten = ({ atMillis, held, key, node, promised }: Forgotten): Violation => ({
  promise: "durable-ack",
  detail:
    `${node} had taken ${key} with ${Version.format(promised)} and, though it did not say that it lacks it, at ${
      atMillis.toFixed(0)
    } ms held ` +
    (held === undefined ? "nothing" : Version.format(held)),
  operations: []
})

const checkLosses = (
  run: Run,
  survives: Survives,
  history: KeyHistory,
  cells: CellsByNode,
  violations: Array<Violation>
): void => {
  const promised = history.acknowledged.filter(({ operation }) => survives(operation))
  if (promised.length === 0) return
  const replicas = run.final.replicasOf(history.key)
  if (replicas.length === 0) {
    violations.push({
      promise: "durable-ack",
      detail: `${history.key} has no replica in the end, though writes to it were acknowledged`,
      operations: promised.map(({ operation }) => operation)
    })
  }
  for (const node of replicas) {
    const cell = cells.get(node)
    const lost = promised
      .filter(({ version }) => cell === undefined || Version.compare(cell.version, version) < 0)
      .toSorted((left, right) => Version.compare(right.version, left.version))
    const [newest] = lost
    if (newest === undefined) continue
    violations.push({
      promise: "durable-ack",
      detail: `${node} ends with ${cell === undefined ? "nothing" : shownWords(cell)}, though ` +
        `${operationWords(newest.operation)} was acknowledged with ${Version.format(newest.version)}` +
        (lost.length === 1 ? "" : ` and ${lost.length - 1} more before`),
      operations: lost.map(({ operation }) => operation)
    })
  }
}

const checkProvenance = (history: KeyHistory, cells: CellsByNode, violations: Array<Violation>): void => {
  const provenance = Provenance.make(history)
  for (const [node, cell] of cells) {
    const madeUp = provenance.madeUp(cell, Infinity)
    if (madeUp === undefined) continue
    violations.push({
      promise: "durable-ack",
      detail: `${node} ends with ${shownWords(cell)} of ${history.key}, which is made up: ${madeUp.why}`,
      operations: madeUp.writes
    })
  }
}
