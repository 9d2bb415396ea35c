/** The calls of a store and their answers, and whether the cells of the store agree with them. */
import type { Cell } from "../../../src/domain/cell/Cell.ts"
import * as CellModule from "../../../src/domain/cell/Cell.ts"
import type * as Engine from "../../../src/storage/Engine.ts"
import * as compare from "../../metamorphic/compare.ts"

/** The cells of one call of `apply`. */
export type Call = ReadonlyArray<Cell>

export interface Ledger {
  /** The newest acknowledged cell of each key. */
  readonly acknowledged: Map<string, Cell>
  /** Calls without an answer, or with a failure: the store has all cells of one, or none. */
  readonly unanswered: Array<Call>
  /** The store may purge tombstones. */
  readonly purges: boolean
}

export const make = (settings: Partial<Engine.Options>): Ledger => ({
  acknowledged: new Map(),
  unanswered: [],
  purges: settings.tombstones === "purge"
})

export const settle = ({ acknowledged, unanswered }: Ledger, call: Call, isAcknowledged: boolean): void => {
  if (!isAcknowledged) {
    unanswered.push(call)
    return
  }
  for (const cell of call) {
    const before = acknowledged.get(cell.key)
    acknowledged.set(cell.key, before === undefined ? cell : CellModule.merge(before, cell))
  }
}

/**
 * A store that was not interrupted has the acknowledged cells and no others. One that was opened again may also have
 * all cells of a call without an answer.
 */
export const problem = (
  ledger: Ledger,
  stored: ReadonlyMap<string, Cell>,
  isReopened: boolean
): string | undefined => {
  const { acknowledged, purges, unanswered } = ledger
  for (const key of new Set([...acknowledged.keys(), ...stored.keys()])) {
    const found = stored.get(key)
    const expected = acknowledged.get(key)
    const differs = compare.cells(expected, found, purges)
    if (differs === undefined) continue
    const isNewer = found !== undefined && (expected === undefined || CellModule.compare(found, expected) > 0)
    const wasAsked = unanswered.some((call) => call.some((cell) => compare.cells(cell, found, false) === undefined))
    if (!isReopened || !isNewer || !wasAsked) return differs
  }
  if (!isReopened) return undefined
  const isKnown = (cell: Cell) => compare.cells(acknowledged.get(cell.key), cell, false) === undefined
  return unanswered
    .map((call) =>
      compare.allOrNothing(call, unanswered.filter((other) => other !== call).flat(), stored, isKnown, purges)
    )
    .find((found) => found !== undefined)
}
