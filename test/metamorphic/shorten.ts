/**
 * Shortens a failing sequence: cuts it after the failure, then leaves out parts that the failure does not need.
 *
 * Source: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (IEEE TSE 2002), simplified: by
 * halves, quarters and so on, once.
 */
import { Effect } from "effect"
import type { Failure } from "./execute.ts"
import type { Operation } from "./Operation.ts"

export interface Shortened extends Failure {
  readonly operations: ReadonlyArray<Operation>
}

/** Enough for a sequence of some hundred operations. */
const runsMax = 600

export const shorten = Effect.fnUntraced(function*(
  operations: ReadonlyArray<Operation>,
  failure: Failure,
  run: (operations: ReadonlyArray<Operation>) => Effect.Effect<Failure | undefined>
) {
  let best: Shortened = { ...failure, operations: operations.slice(0, failure.at + 1) }
  let runs = 0
  for (let size = best.operations.length >> 1; size >= 1; size = size === 1 ? 0 : (size + 1) >> 1) {
    for (let start = 0; start < best.operations.length && runs < runsMax;) {
      const rest = [...best.operations.slice(0, start), ...best.operations.slice(start + size)]
      runs++
      const again = rest.length === 0 ? undefined : yield* run(rest)
      if (again === undefined) start += size
      else best = { ...again, operations: rest.slice(0, again.at + 1) }
    }
  }
  return best
})
