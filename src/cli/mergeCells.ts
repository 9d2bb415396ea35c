/**
 * Merges the cells of several nodes, each in key order, into one stream of the newest cell of each key, in key order.
 * It holds one chunk of each node in memory.
 */
import { Effect, Option, Stream } from "effect"
import * as Cell from "../domain/cell/Cell.ts"
import * as Key from "../domain/Key.ts"
import { Merger, type Order } from "../storage/merge/Merger.ts"
import * as StreamSource from "../storage/merge/StreamSource.ts"
import { type CommandFailed, failed } from "./CommandFailed.ts"

export interface Source<E, R> {
  readonly name: string
  readonly cells: Stream.Stream<Cell.Cell, E, R>
}

type Cells<E> = StreamSource.StreamSource<Cell.Cell, E | CommandFailed>

const order: Order<Cells<unknown>> = {
  compare: (left, right) => Key.compare(left.head()!.key, right.head()!.key),
  isNewer: (left, right) => Cell.compare(left.head()!, right.head()!) > 0
}

const chunkCells = 512

/** Tombstones are part of the result. */
export const mergeCells = <E, R>(
  sources: ReadonlyArray<Source<E, R>>
): Stream.Stream<Cell.Cell, E | CommandFailed, R> =>
  Stream.unwrap(
    Effect.map(
      Effect.forEach(
        sources,
        ({ cells, name }) => StreamSource.make(cells, Effect.fail(failed(`${name} sent its keys out of order`)))
      ),
      (opened) => Stream.paginate(new Merger(opened, order), nextChunk)
    )
  )

const nextChunk = <E>(merger: Merger<Cells<E>>) =>
  Effect.map(StreamSource.loadWaiting(merger), () => {
    const merged: Array<Cell.Cell> = []
    while (merged.length < chunkCells && merger.waiting.length === 0) {
      const newest = merger.next()
      if (newest === undefined) return [merged, Option.none<Merger<Cells<E>>>()] as const
      merged.push(newest.head()!)
      merger.advance()
    }
    return [merged, Option.some(merger)] as const
  })
