/** Gathers cells of a stream into batches bounded in count and bytes, so that large values do not pile up. */
import { Effect } from "effect"
import type { Cell } from "../domain/cell/Cell.ts"
import { batchBytesMax } from "../peer/PeerApi.ts"
import { bytesOf } from "./cellBytes.ts"

const cellsPerBatchMax = 512

export interface CellBatches<E> {
  /** Handles every batch that is full now. */
  readonly take: (cells: ReadonlyArray<Cell>) => Effect.Effect<void, E>
  /** Handles what is left. */
  readonly end: Effect.Effect<void, E>
}

export const make = <E>(handle: (batch: ReadonlyArray<Cell>) => Effect.Effect<unknown, E>): CellBatches<E> => {
  let batch: Array<Cell> = []
  let bytes = 0

  const release = (): ReadonlyArray<Cell> => {
    const full = batch
    batch = []
    bytes = 0
    return full
  }

  const add = (cell: Cell): ReadonlyArray<Cell> | undefined => {
    batch.push(cell)
    bytes += bytesOf(cell)
    return batch.length >= cellsPerBatchMax || bytes >= batchBytesMax ? release() : undefined
  }

  return {
    take: Effect.fnUntraced(function*(cells) {
      for (const cell of cells) {
        const full = add(cell)
        if (full !== undefined) yield* handle(full)
      }
    }),
    end: Effect.suspend(() => batch.length === 0 ? Effect.void : Effect.asVoid(handle(release())))
  }
}
