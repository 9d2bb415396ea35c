/**
 * Merges the cells of several nodes, each in key order, into one stream in key order that holds the newest cell of
 * each key. It holds one chunk of each node, however much they store.
 *
 * The merge step of an external merge sort: Knuth, "The Art of Computer Programming", volume 3, section 5.4.
 */
import { Effect, Option, Pull, Schema, Stream } from "effect"
import * as Cell from "../domain/cell/Cell.ts"
import * as Key from "../domain/Key.ts"

/** A node sent its keys out of order, so the merge would miss some. */
export class OutOfOrder extends Schema.TaggedError<OutOfOrder>()("OutOfOrder", { source: Schema.String }) {
  override get message() {
    return `${this.source} sent its keys out of order`
  }
}

export interface Source<E, R> {
  readonly name: string
  readonly cells: Stream.Stream<Cell.Cell, E, R>
}

interface Head<E, R> {
  readonly name: string
  readonly pull: Pull.Pull<ReadonlyArray<Cell.Cell>, E, void, R>
  chunk: ReadonlyArray<Cell.Cell>
  index: number
}

/** Large enough that the cost of a step is shared, small enough to hold. */
const chunkCells = 512

/** Tombstones are part of the result. */
export const mergeCells = <E, R>(sources: ReadonlyArray<Source<E, R>>): Stream.Stream<Cell.Cell, E | OutOfOrder, R> =>
  Stream.unwrap(Effect.gen(function*() {
    const heads: Array<Head<E, R>> = []
    for (const { cells, name } of sources) {
      heads.push({ name, pull: yield* Stream.toPull(cells), chunk: [], index: 0 })
    }
    return Stream.paginate<ReadonlyArray<Head<E, R>>, Cell.Cell, E | OutOfOrder, R>(heads, nextChunk)
  }))

/** `waiting` are the sources whose next cell must be fetched first. */
const nextChunk = Effect.fnUntraced(function*<E, R>(waiting: ReadonlyArray<Head<E, R>>) {
  const live: Array<Head<E, R>> = []
  for (const head of waiting) {
    if (head.index < head.chunk.length || (yield* refill(head))) live.push(head)
  }
  const merged: Array<Cell.Cell> = []
  while (live.length > 0 && merged.length < chunkCells && live.every((head) => head.index < head.chunk.length)) {
    let newest: Cell.Cell | undefined
    for (const head of live) {
      const cell = head.chunk[head.index]!
      const order = newest === undefined ? -1 : Key.compare(cell.key, newest.key)
      if (order < 0) newest = cell
      else if (order === 0) newest = Cell.merge(newest!, cell)
    }
    merged.push(newest!)
    for (const head of live) {
      if (head.chunk[head.index]!.key !== newest!.key) continue
      const following = head.chunk[++head.index]
      if (following !== undefined && Key.compare(newest!.key, following.key) >= 0) {
        return yield* new OutOfOrder({ source: head.name })
      }
    }
  }
  const state = live.length === 0 ? Option.none<ReadonlyArray<Head<E, R>>>() : Option.some(live)
  return [merged, state] as const
})

/** Fetches the source's next chunk; `false` when it has no more. */
const refill = Effect.fnUntraced(function*<E, R>(head: Head<E, R>) {
  const before = head.chunk.at(-1)
  while (true) {
    const chunk = yield* Pull.catchDone(head.pull, () => Effect.succeed(undefined))
    if (chunk === undefined) return false
    if (chunk.length === 0) continue
    if (before !== undefined && Key.compare(before.key, chunk[0]!.key) >= 0) {
      return yield* new OutOfOrder({ source: head.name })
    }
    head.chunk = chunk
    head.index = 0
    return true
  }
})
