/** Combines the answers of a read. Pure. */
import type { Cell } from "../domain/cell/Cell.ts"
import type { NodeId } from "../domain/NodeId.ts"
import * as Version from "../domain/Version.ts"
import type { ReadAnswer } from "../peer/PeerClient.ts"
import type { Answer } from "./quorum.ts"

export interface Resolution {
  /** `undefined` when no replica ever had the key. */
  readonly newest: Version.Version | undefined
  /** The cell of that version, when one of the answers carried it. */
  readonly cell: Cell | undefined
  /** Replicas that hold that version. */
  readonly holders: ReadonlyArray<NodeId>
  /** Replicas that answered with less. */
  readonly stale: ReadonlyArray<NodeId>
}

export const resolve = (answers: ReadonlyArray<Answer<ReadAnswer>>): Resolution => {
  let newest: Version.Version | undefined
  for (const { answer: { version } } of answers) {
    if (version !== undefined && (newest === undefined || Version.compare(version, newest) > 0)) newest = version
  }
  if (newest === undefined) return nothing
  let cell: Cell | undefined
  const holders: Array<NodeId> = []
  const stale: Array<NodeId> = []
  for (const { answer, node } of answers) {
    if (answer.version === undefined || Version.compare(answer.version, newest) < 0) {
      stale.push(node)
      continue
    }
    holders.push(node)
    cell ??= answer.cell
  }
  return { newest, cell, holders, stale }
}

const nothing: Resolution = { newest: undefined, cell: undefined, holders: [], stale: [] }
