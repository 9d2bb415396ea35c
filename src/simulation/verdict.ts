/** A run and what its checkers say of it, in a form that goes from a worker to the terminal. */
import { checkAll } from "./checkers/index.ts"
import type { Operation } from "./History.ts"
import { minimise } from "./minimise.ts"
import type { Fault } from "./Schedule.ts"
import { type Options, type Result, simulate } from "./simulate.ts"

export interface Broken {
  readonly promise: string
  readonly detail: string
  readonly operations: ReadonlyArray<Operation>
}

export interface Verdict {
  readonly seed: number
  readonly traceHash: string
  readonly broken: ReadonlyArray<Broken>
  readonly schedule: ReadonlyArray<Fault>
  readonly figures: Omit<Result["figures"], "faults"> & { readonly faults: Readonly<Record<string, number>> }
}

/** Runs a seed. What keeps a run from its end breaks `progress`, and an exception in its loop `no-defect`. */
export const judge = (options: Options): Verdict => {
  try {
    return judged(options)
  } catch (thrown) {
    const detail = thrown instanceof Error ? thrown.stack ?? thrown.message : String(thrown)
    return {
      seed: options.seed,
      traceHash: "",
      broken: [{ promise: "no-defect", detail, operations: [] }],
      schedule: [],
      figures: {
        virtualMillis: 0,
        events: 0,
        operations: 0,
        acknowledged: 0,
        messages: { messages: 0, lost: 0, duplicated: 0, late: 0 },
        faults: {},
        holesClosed: 0,
        convergedAfterMillis: undefined
      }
    }
  }
}

const judged = (options: Options): Verdict => {
  const { figures, run, schedule, stuck, traceHash } = simulate(options)
  const broken: Array<Broken> = stuck === undefined ? [] : [{ promise: "progress", detail: stuck, operations: [] }]
  // A run that did not reach its end has no final state to speak of.
  if (stuck === undefined) broken.push(...checkAll(run))
  return {
    seed: options.seed,
    traceHash,
    broken,
    schedule,
    figures: { ...figures, faults: Object.fromEntries(figures.faults) }
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
