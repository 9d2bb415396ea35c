/**
 * Compares the engine with the model; each function returns `undefined`, or a sentence about the difference.
 *
 * With `purges` a tombstone of the model may be missing, since it reads like an absent key.
 *
 * Pure.
 */
import type { Cell } from "../../src/domain/cell/Cell.ts"
import * as CellModule from "../../src/domain/cell/Cell.ts"
import * as Version from "../../src/domain/Version.ts"
import type { Applied } from "../../src/storage/Applied.ts"

export const describe = (cell: Cell | undefined): string => {
  if (cell === undefined) return "nothing"
  const { key, value, version } = cell
  const what = value === undefined
    ? "a tombstone"
    : `${value.bytes.length} bytes of ${JSON.stringify(value.contentType)}`
  const shown = key.length > 40 ? `${key.slice(0, 12)}... (${key.length} units) ...${key.slice(-12)}` : key
  return `${JSON.stringify(shown)} ${version.counter}-${version.nodeId} (${what})`
}

const isSame = (left: Cell, right: Cell): boolean =>
  left.key === right.key && CellModule.compare(left, right) === 0 &&
  left.value?.contentType === right.value?.contentType

export const cells = (expected: Cell | undefined, found: Cell | undefined, purges: boolean): string | undefined => {
  if (found === undefined) {
    const mayBeMissing = expected === undefined || (purges && expected.value === undefined)
    return mayBeMissing ? undefined : `expected ${describe(expected)}, found nothing`
  }
  return expected !== undefined && isSame(expected, found)
    ? undefined
    : `expected ${describe(expected)}, found ${describe(found)}`
}

export const versions = (
  expected: Cell | undefined,
  found: Version.Version | undefined,
  purges: boolean
): string | undefined => {
  if (found === undefined) return cells(expected, undefined, purges)
  return expected !== undefined && Version.compare(expected.version, found) === 0
    ? undefined
    : `expected ${describe(expected)}, found the version ${Version.format(found)}`
}

export const applied = (expected: Applied, found: Applied | undefined): string | undefined => {
  const isEqual = found !== undefined && (expected._tag === "Accepted"
    ? found._tag === "Accepted" && expected.replaced === found.replaced
    : found._tag === "Superseded" && Version.compare(expected.newest, found.newest) === 0)
  return isEqual ? undefined : `expected the answer ${JSON.stringify(expected)}, got ${JSON.stringify(found)}`
}

/** Compares consecutive cells of a scan, and returns the place behind them or a sentence. */
export const walk = (
  expected: ReadonlyArray<Cell>,
  from: number,
  found: ReadonlyArray<Cell>,
  purges: boolean
): number | string => {
  let at = from
  for (const cell of found) {
    while (purges && at < expected.length && expected[at]!.value === undefined && !isSame(expected[at]!, cell)) at++
    const problem = cells(expected[at], cell, false)
    if (problem !== undefined) return `at place ${at} of ${expected.length}: ${problem}`
    at++
  }
  return at
}

/** No cell must follow the place. */
export const isEnd = (expected: ReadonlyArray<Cell>, at: number, purges: boolean): boolean =>
  purges ? !expected.some((cell, place) => place >= at && cell.value !== undefined) : at >= expected.length

/**
 * The store has all cells of a call without an answer, or newer ones, or it has none. A cell that another call also
 * brought, or that was known before, is no evidence of the call.
 */
export const allOrNothing = (
  call: ReadonlyArray<Cell>,
  others: ReadonlyArray<Cell>,
  stored: ReadonlyMap<string, Cell>,
  isKnown: (cell: Cell) => boolean,
  purges: boolean
): string | undefined => {
  const isThere = (cell: Cell) => {
    const found = stored.get(cell.key)
    return found === undefined ? purges && cell.value === undefined : CellModule.compare(found, cell) >= 0
  }
  const witness = call.find((cell) => {
    const found = stored.get(cell.key)
    const isItsOwn = !isKnown(cell) && !others.some((other) => isSame(other, cell))
    return found !== undefined && isSame(found, cell) && isItsOwn
  })
  const missing = call.find((cell) => !isThere(cell))
  return witness === undefined || missing === undefined
    ? undefined
    : `half a call: ${describe(witness)} of it is there, ${describe(missing)} is not`
}
