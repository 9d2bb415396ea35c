/**
 * The model of a store: the newest cell of each key, in an array in the order of the keys' bytes.
 *
 * Pure, but for `take`.
 */
import type { Cell } from "../../src/domain/cell/Cell.ts"
import * as CellModule from "../../src/domain/cell/Cell.ts"
import type { Applied } from "../../src/storage/Applied.ts"
import type { Range } from "./Operation.ts"

export interface Model {
  /** All keys that the sequence uses, sorted. */
  readonly keys: ReadonlyArray<string>
  readonly rankOf: ReadonlyMap<string, number>
  /** At the rank of its key. */
  readonly cells: Array<Cell | undefined>
}

/** The order that the engine promises, without its code. */
export const compareBytes = (left: string, right: string): number =>
  Buffer.compare(Buffer.from(left), Buffer.from(right))

export const make = (keys: ReadonlyArray<string>): Model => {
  const sorted = Array.from(new Set(keys)).sort(compareBytes)
  return {
    keys: sorted,
    rankOf: new Map(sorted.map((key, rank) => [key, rank])),
    cells: sorted.map(() => undefined)
  }
}

/** A view, which later writes do not change. */
export const copy = (model: Model): Model => ({ ...model, cells: model.cells.slice() })

export const get = (model: Model, key: string): Cell | undefined => model.cells[model.rankOf.get(key)!]

/** Merges a cell, and returns the answer that the engine must give. */
export const take = (model: Model, cell: Cell): Applied => {
  const before = get(model, cell.key)
  const order = before === undefined ? 1 : CellModule.compare(cell, before)
  if (order < 0) return { _tag: "Superseded", newest: before!.version }
  model.cells[model.rankOf.get(cell.key)!] = cell
  return { _tag: "Accepted", replaced: order > 0 && before?.value !== undefined }
}

/** The cells of a range in its order. Later writes do not change the result. */
export const select = (model: Model, range: Range): ReadonlyArray<Cell> => {
  const found: Array<Cell> = []
  for (const cell of model.cells) {
    if (cell === undefined || (range.tombstones === false && cell.value === undefined)) continue
    if (range.prefix !== undefined && !cell.key.startsWith(range.prefix)) continue
    if (range.from !== undefined && compareBytes(cell.key, range.from) < 0) continue
    if (range.to !== undefined && compareBytes(cell.key, range.to) >= 0) continue
    found.push(cell)
  }
  return range.reverse === true ? found.reverse() : found
}

/** The position of a cursor over these cells after it has sought a key. */
export const positionAt = (cells: ReadonlyArray<Cell>, key: string, reverse: boolean): number => {
  const found = cells.findIndex((cell) => reverse ? compareBytes(cell.key, key) <= 0 : compareBytes(cell.key, key) >= 0)
  return found === -1 ? cells.length : found
}
