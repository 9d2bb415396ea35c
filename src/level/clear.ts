/** Deletes a range: reads its keys from a view and writes tombstones, in bounded batches. */
import { Effect } from "effect"
import type { View } from "../storage/Storage.ts"
import type { Database } from "./Database.ts"
import * as range from "./range.ts"

export interface ClearOptions extends range.Range {
  readonly reverse: boolean
  /** -1: no limit. */
  readonly limit: number
}

/** They share an append and a sync. */
const cellsPerBatch = 512

export const clear = Effect.fnUntraced(function*({ engine, stamp }: Database, view: View, options: ClearOptions) {
  const { limit, reverse } = options
  const cursor = yield* view.cursor({ ...range.boundsOf(options), reverse, tombstones: false })
  const batches = Effect.gen(function*() {
    for (let left = limit < 0 ? Infinity : limit; left > 0;) {
      const cells = yield* cursor.next(Math.min(left, cellsPerBatch))
      if (cells.length === 0) return
      yield* engine.apply(cells.map(({ key }) => ({ key, version: stamp(), value: undefined })))
      left -= cells.length
    }
  })
  yield* Effect.ensuring(batches, cursor.close)
})
