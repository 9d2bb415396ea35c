/** Linearizability by trying every order: right by its shortness, for histories of a few operations. */
import type { Operation } from "../../../src/simulation/History.ts"

export const isLinearizable = (operations: ReadonlyArray<Operation>): boolean =>
  canOrder(operations.filter(isRelevant), undefined)

const isRelevant = ({ kind, outcome }: Operation) =>
  kind === "get" ? outcome?._tag === "Ok" : outcome?._tag !== "NotApplied"

const endOf = ({ ended, outcome }: Operation) => outcome?._tag === "Ok" ? ended : Infinity

const canOrder = (left: ReadonlyArray<Operation>, value: string | undefined): boolean =>
  left.every((operation) => endOf(operation) === Infinity) ||
  left.some((first) => {
    if (left.some((other) => endOf(other) < first.began)) return false
    if (first.kind === "get" && (first.outcome?._tag !== "Ok" || first.outcome.value !== value)) return false
    return canOrder(left.filter((other) => other !== first), first.kind === "get" ? value : first.value)
  })
