/** Sizes of cells on the wire and in queues, and batches bounded by them. Pure. */
import type { Cell } from "../domain/cell/Cell.ts"

/** Version, lengths and flags. */
const overheadBytes = 48

/** About how many bytes a cell takes. */
export const bytesOf = ({ key, value }: Cell): number =>
  overheadBytes + key.length + (value === undefined ? 0 : value.bytes.length + value.contentType.length)

/** Cuts into batches of at most `cellsMax` cells and `bytesMax` bytes; a larger cell gets a batch of its own. */
export const batches = (
  cells: ReadonlyArray<Cell>,
  { bytesMax, cellsMax }: { readonly cellsMax: number; readonly bytesMax: number }
): ReadonlyArray<ReadonlyArray<Cell>> => {
  const result: Array<Array<Cell>> = []
  let batch: Array<Cell> = []
  let bytes = 0
  for (const cell of cells) {
    const more = bytesOf(cell)
    if (batch.length > 0 && (batch.length >= cellsMax || bytes + more > bytesMax)) {
      result.push(batch)
      batch = []
      bytes = 0
    }
    batch.push(cell)
    bytes += more
  }
  if (batch.length > 0) result.push(batch)
  return result
}
