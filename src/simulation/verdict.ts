/** A run with the verdict of its checkers, in a form that a worker can post. */
import { checkAll } from "./checkers/index.ts"
import type { Violation } from "./History.ts"
import { minimise } from "./minimise.ts"
import type { Fault } from "./Schedule.ts"
import { type Figures, type Options, simulate } from "./simulate.ts"

export interface Verdict {
  readonly seed: number
  readonly traceHash: string
  readonly broken: ReadonlyArray<Violation>
  readonly schedule: ReadonlyArray<Fault>
  /** `undefined` when the run ended with an exception. */
  readonly figures: Figures | undefined
}

/** Runs a seed. A run that does not reach its end breaks `progress`, and an exception in its loop `no-defect`. */
export const judge = (options: Options): Verdict => {
  const { seed } = options
  try {
    const { figures, run, schedule, stuck, traceHash } = simulate(options)
    // A run that did not reach its end has no final state to check.
    const broken = stuck === undefined ? checkAll(run) : [{ promise: "progress", detail: stuck, operations: [] }]
    return { seed, traceHash, broken, schedule, figures }
  } catch (thrown) {
    const detail = thrown instanceof Error ? thrown.stack ?? thrown.message : String(thrown)
    const broken = [{ promise: "no-defect", detail, operations: [] }]
    return { seed, traceHash: "", broken, schedule: [], figures: undefined }
  }
}

/** Places of the faults without which the first broken promise would be kept. */
export const essential = (options: Options, verdict: Verdict): ReadonlyArray<number> => {
  const [first] = verdict.broken
  return minimise(
    verdict.schedule.length,
    (keep) => judge({ ...options, keep }).broken.some(({ promise }) => promise === first?.promise)
  )
}
