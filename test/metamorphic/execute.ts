/** Runs a sequence of operations under some settings, from an empty disk to a final check of everything. */
import { Cause, Effect, Exit, Logger, Scope } from "effect"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import type { Operation } from "./Operation.ts"
import { callsOf, perform } from "./perform.ts"
import * as Run from "./Run.ts"
import type { Settings } from "./Settings.ts"

export interface Failure {
  /** The index of the failed operation; the number of operations if the final check failed. */
  readonly at: number
  readonly problem: string
}

/** Two crashes can hit an operation, at most. */
const triesMax = 5

export const execute = Effect.fnUntraced(function*(
  operations: ReadonlyArray<Operation>,
  keys: ReadonlyArray<string>,
  settings: Settings,
  seed: number
): Effect.fn.Return<Failure | undefined> {
  const run = yield* Effect.orDie(Run.start(keys, settings, seed))
  for (let at = 0; at < operations.length; at++) {
    const operation = operations[at]!
    const problem = yield* attempt(run, operation)
    if (problem !== undefined) return yield* end(run, { at, problem })
  }
  const problem = yield* problemOf(finish(run))
  return yield* end(run, problem === undefined ? undefined : { at: operations.length, problem })
}, Effect.provide(Logger.layer([])))

/** Repeats an operation that failed because of a crash. */
const attempt = Effect.fnUntraced(function*(run: Run.Run, operation: Operation) {
  for (let count = 0; count < triesMax; count++) {
    const pending = operation._tag === "apply" ? callsOf(run, operation) : []
    const exit = yield* Effect.exit(perform(run, operation, count > 0))
    if (Exit.isSuccess(exit)) return undefined
    if (!isStorageFailure(exit.cause) || !Run.isDead(run)) return sentenceOf(exit.cause)
    const problem = yield* problemOf(Run.recover(run, pending))
    if (problem !== undefined) return problem
  }
  return `it does not come through in ${triesMax} tries`
})

const isStorageFailure = (cause: Cause.Cause<{ readonly _tag: string }>): boolean =>
  cause.reasons.every((reason) => Cause.isFailReason(reason) && reason.error._tag !== "Mismatch")

const problemOf = <E extends { readonly _tag: string }>(effect: Effect.Effect<void, E>) =>
  Effect.map(Effect.exit(effect), (exit) => Exit.isSuccess(exit) ? undefined : sentenceOf(exit.cause))

const sentenceOf = (cause: Cause.Cause<unknown>): string => {
  const failure = cause.reasons.find(Cause.isFailReason)?.error
  if (failure instanceof Run.Mismatch) return failure.problem
  return failure instanceof Error ? `it fails: ${failure.message}` : `a defect: ${Cause.pretty(cause)}`
}

/** All ways of reading give everything, before and after one more restart. */
const finish = Effect.fnUntraced(function*(run: Run.Run) {
  if (Run.isDead(run)) yield* Run.recover(run, [])
  run.memory.powerOffAt(Number.POSITIVE_INFINITY)
  run.life.disk.setPlan(() => undefined)
  yield* readAll(run)
  yield* Run.restart(run)
  yield* readAll(run)
})

const readAll = Effect.fnUntraced(function*(run: Run.Run) {
  yield* perform(run, { _tag: "scan", range: {} }, false)
  for (const key of run.model.keys) {
    yield* perform(run, { _tag: "get", key }, false)
    yield* perform(run, { _tag: "version", key }, false)
  }
  const { equalVersionConflicts, refusing } = yield* run.life.subject.stats
  if (equalVersionConflicts > 0) {
    return yield* new Run.Mismatch({ problem: `${equalVersionConflicts} equal versions differ` })
  }
  if (refusing !== undefined) return yield* new Run.Mismatch({ problem: `it refuses writes: ${refusing.message}` })
  const counterMax = run.model.cells.reduce((most, cell?: Cell) => Math.max(most, cell?.version.counter ?? 0), 0)
  const found = yield* run.life.subject.counterMax
  if (found < counterMax && !run.purges) {
    return yield* new Run.Mismatch({ problem: `counterMax is ${found}, and a cell has ${counterMax}` })
  }
})

const end = Effect.fnUntraced(function*(run: Run.Run, failure: Failure | undefined) {
  run.life.disk.kill()
  yield* Effect.ignoreCause(Scope.close(run.life.scope, Exit.void))
  return failure
})
