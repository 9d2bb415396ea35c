/** An operation that fails does so with a typed error that clients know, never with a defect. */
import type { Checker, Operation } from "../History.ts"
import { operationWords } from "./words.ts"

/** The store's errors, then the client's own. */
export const knownErrors: ReadonlySet<string> = new Set([
  "WriteQuorumNotReached",
  "ReadQuorumNotReached",
  "Overloaded",
  "ConnectionRefused",
  "ConnectionLost",
  "ClientGone",
  "ClientTimeout"
])

export const clearRefusal: Checker = (run) =>
  run.operations.flatMap((operation) => {
    const complaint = complain(operation)
    if (complaint === undefined) return []
    return [{
      promise: "clear-refusal",
      detail: `${operationWords(operation)} failed with ${complaint}`,
      operations: [operation]
    }]
  })

const complain = ({ outcome }: Operation): string | undefined => {
  if (outcome?._tag === "Defect") return `a defect: ${outcome.detail}`
  if (outcome === undefined || outcome._tag === "Ok" || knownErrors.has(outcome.error)) return undefined
  return `the unknown error ${outcome.error}: ${outcome.detail}`
}
