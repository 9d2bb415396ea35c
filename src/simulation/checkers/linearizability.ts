/**
 * Whether one key behaved as an atomic register: some order of its operations, each at a moment between its beginning
 * and its end, in which every read sees the write before it.
 *
 * Pure. The store promises it for linearizable requests only, so it is not among the `promises`.
 * Source: Wing and Gong, "Testing and Verifying Concurrent Objects" (JPDC 1993), with the memory of visited
 * configurations of Lowe, "Testing for Linearizability" (CCPE 2017). Unlike theirs, the search uses that values are
 * unique: most steps then have no alternative, see `forcedStep`.
 */
import type { Checker, Operation, Run, Violation } from "../History.ts"
import { operationsByKey } from "./KeyHistory.ts"
import * as Register from "./register.ts"
import { operationWords, shortened } from "./words.ts"

export type Verdict = "linearizable" | "undecided" | { readonly stuck: Stuck }

/** Where the search came farthest. */
export interface Stuck {
  /** The operation that found no place. */
  readonly operation: Operation
  /** The one that ended first among those without a place, which may be the same. */
  readonly urgent: Operation
  /** The longest order without them. */
  readonly after: ReadonlyArray<Operation>
  /** The value in the register after these. */
  readonly holding: string | undefined
}

/** About a second. A history of a few hundred operations takes about as many steps. */
export const stepsMax = 500_000

export const checkRegister = (operations: ReadonlyArray<Operation>, steps = stepsMax): Verdict => {
  const register = Register.make(operations)
  const [impossible] = register.impossible
  if (impossible !== undefined) {
    return { stuck: { operation: impossible, urgent: impossible, after: [], holding: undefined } }
  }
  return search(register, steps)
}

export interface Linearizability {
  readonly violations: ReadonlyArray<Violation>
  /** Keys whose search was given up. */
  readonly undecided: ReadonlyArray<string>
}

/** Looks at those keys on which any two operations share a replica. */
export const checkLinearizability = (run: Run, steps = stepsMax): Linearizability => {
  const violations: Array<Violation> = []
  const undecided: Array<string> = []
  for (const [key, operations] of operationsByKey(run)) {
    if (operations.some(({ quorum }) => quorum * 2 <= run.replicationFactor)) continue
    const verdict = checkRegister(operations, steps)
    if (verdict === "undecided") undecided.push(key)
    else if (verdict !== "linearizable") violations.push(violation(verdict.stuck))
  }
  return { violations, undecided }
}

export const linearizability: Checker = (run) => checkLinearizability(run).violations

const violation = ({ after, holding, operation, urgent }: Stuck): Violation => {
  const { outcome } = operation
  const saw = operation.kind === "get" && outcome?._tag === "Ok" ? ` saw ${valueWords(outcome.value)} and` : ""
  return {
    promise: "linearizability",
    detail: `${operationWords(operation)}${saw} has no place in any order of the key's operations: the longest has ` +
      `${after.length} and leaves ${valueWords(holding)}`,
    operations: [...after.slice(-shownMax), ...(urgent === operation ? [] : [urgent]), operation]
  }
}

const valueWords = (value: string | undefined) => value === undefined ? "nothing" : shortened(value)

/** The last steps before it got stuck are those that explain it. */
const shownMax = 8

/** The steps so far, undone one by one when they lead nowhere. */
interface Search {
  readonly register: Register.Register
  readonly isDone: Uint8Array
  /** Reads still to be placed, by value. */
  readonly pendingReads: Array<number>
  readonly moves: Array<Move>
  value: number
  /** All steps before it are done. */
  low: number
  stepsDone: number
  deletesUsed: number
  /** Steps that may come next: they began before any undone step ended. Refilled at each configuration. */
  readonly window: Array<number>
  /** The first end among the undone. */
  windowEnded: number
}

interface Move {
  readonly step: number
  readonly valueBefore: number
}

/** In place of a step: the next of the optional deletes. */
const optionalDelete = -1

/** A configuration with several next steps. */
interface Branch {
  readonly movesBefore: number
  readonly choices: ReadonlyArray<number>
  next: number
}

const search = (register: Register.Register, steps: number): Verdict => {
  const state: Search = {
    register,
    isDone: new Uint8Array(register.steps.length),
    pendingReads: Array.from(register.readsOfValue),
    moves: [],
    value: Register.absent,
    low: 0,
    stepsDone: 0,
    deletesUsed: 0,
    window: [],
    windowEnded: Infinity
  }
  const visited = new Set<string>()
  const branches: Array<Branch> = []
  let deepest: Stuck | undefined
  for (let spent = 0; spent < steps; spent++) {
    if (state.stepsDone === register.steps.length) return "linearizable"
    fillWindow(state)
    const forced = forcedStep(state)
    if (forced !== undefined) {
      apply(state, forced)
      continue
    }
    const choices = isNew(state, visited) ? choicesOf(state) : []
    if (choices.length > 0) branches.push({ movesBefore: state.moves.length, choices, next: 0 })
    else if (state.moves.length >= (deepest?.after.length ?? 0)) deepest = stuckAt(state)
    const next = nextChoice(state, branches)
    if (next === undefined) return { stuck: deepest! }
    apply(state, next)
  }
  return "undecided"
}

const fillWindow = (state: Search): void => {
  const { isDone, register: { steps }, window } = state
  while (isDone[state.low] === 1) state.low++
  window.length = 0
  let ended = Infinity
  for (let index = state.low; index < steps.length && steps[index]!.began <= ended; index++) {
    if (isDone[index] === 1) continue
    window.push(index)
    ended = Math.min(ended, steps[index]!.ended)
  }
  state.windowEnded = ended
}

/**
 * A step that can come first in any order from here:
 * - a read of the register's present value, which changes nothing;
 * - once no read of the present value is left, a write that nobody will read either.
 */
const forcedStep = ({ pendingReads, register: { steps }, value, window }: Search): number | undefined => {
  const isRead = pendingReads[value]! > 0
  return window.find((index) => {
    const step = steps[index]!
    return step.isRead ? step.value === value : !isRead && pendingReads[step.value] === 0
  })
}

/** The writes that may come next, without those that are never better than another one here. */
const choicesOf = (state: Search): ReadonlyArray<number> => {
  const { deletesUsed, pendingReads, register: { optionalDeletes, steps }, value, window, windowEnded } = state
  // A value that was left does not come back.
  if (value !== Register.absent && pendingReads[value]! > 0) return []
  const choices = window.filter((index) => !steps[index]!.isRead)
    .sort((left, right) => steps[left]!.ended - steps[right]!.ended)
  const firstDelete = choices.find((index) => steps[index]!.value === Register.absent)
  const firstUnread = choices.find((index) => pendingReads[steps[index]!.value] === 0)
  const kept = choices.filter((index) =>
    // Deletes are alike, and so are puts that nobody reads: the one to end first leaves the most room.
    index === firstDelete || index === firstUnread ||
    (steps[index]!.value !== Register.absent && pendingReads[steps[index]!.value]! > 0)
  )
  // Worth it only for a read that can follow at once.
  const canDelete = window.some((index) => steps[index]!.isRead && steps[index]!.value === Register.absent) &&
    deletesUsed < optionalDeletes.length && optionalDeletes[deletesUsed]!.began <= windowEnded
  return canDelete ? [...kept, optionalDelete] : kept
}

/**
 * Whether no way led here before. The register's value does not matter: where there is a choice, no read can come next,
 * and a write replaces it.
 */
const isNew = ({ deletesUsed, isDone, low, window }: Search, visited: Set<string>): boolean => {
  const configuration = `${low} ${isDone.subarray(low, window.at(-1)).join("")} ${deletesUsed}`
  if (visited.has(configuration)) return false
  visited.add(configuration)
  return true
}

/** The next untried choice of the latest branch that has one, with everything after that branch undone. */
const nextChoice = (state: Search, branches: Array<Branch>): number | undefined => {
  let branch = branches.at(-1)
  while (branch !== undefined && branch.next === branch.choices.length) {
    branches.pop()
    branch = branches.at(-1)
  }
  if (branch === undefined) return undefined
  while (state.moves.length > branch.movesBefore) undo(state)
  return branch.choices[branch.next++]
}

const apply = (state: Search, step: number): void => {
  state.moves.push({ step, valueBefore: state.value })
  if (step === optionalDelete) {
    state.deletesUsed++
    state.value = Register.absent
    return
  }
  const { isRead, value } = state.register.steps[step]!
  state.isDone[step] = 1
  state.stepsDone++
  if (isRead) state.pendingReads[value]!--
  state.value = value
}

const undo = (state: Search): void => {
  const { step, valueBefore } = state.moves.pop()!
  state.value = valueBefore
  if (step === optionalDelete) {
    state.deletesUsed--
    return
  }
  const { isRead, value } = state.register.steps[step]!
  state.isDone[step] = 0
  state.stepsDone--
  if (isRead) state.pendingReads[value]!++
  state.low = Math.min(state.low, step)
}

const stuckAt = (state: Search): Stuck => {
  const { moves, pendingReads, register: { optionalDeletes, steps }, value, window, windowEnded } = state
  let deletes = 0
  const after = moves.map(({ step }) => step === optionalDelete ? optionalDeletes[deletes++]! : steps[step]!.operation)
  const first = window.filter((index) => steps[index]!.ended === windowEnded).map((index) => steps[index]!)
  const urgent = first.find(({ isRead }) => isRead) ?? first[0]!
  // A value must stay for a read that begins too late for that.
  const waiting = value === Register.absent || pendingReads[value] === 0
    ? undefined
    : steps.find((step, index) => step.isRead && step.value === value && state.isDone[index] === 0)
  return {
    operation: (waiting ?? urgent).operation,
    urgent: urgent.operation,
    after,
    holding: steps.find((step) => !step.isRead && step.value === value && value !== Register.absent)?.operation.value
  }
}
