/**
 * With N = 3 and W = R = 2, one node may be down, slow or cut off and every operation still succeeds; and an operation
 * ends in time, unless its coordinator is disturbed.
 */
import type { Checker, Disturbance, Operation, Run, Violation } from "../History.ts"
import { operationWords } from "./words.ts"

/**
 * How long a disturbance may be felt after it ended: a failure detector needs about 10 s to call a node down, and
 * a little more to trust it again.
 */
export const settleMillis = 15_000

/** Beyond the promised time: the way there and back over a slow link. */
export const slackMillis = 1_000

export const availability: Checker = (run) => {
  const violations: Array<Violation> = []
  for (const operation of run.operations) {
    const detail = lateness(run, operation) ?? failure(run, operation)
    if (detail !== undefined) violations.push({ promise: "availability", detail, operations: [operation] })
  }
  return violations
}

const lateness = (run: Run, operation: Operation): string | undefined => {
  const { beganMillis, outcome } = operation
  const endMillisMax = beganMillis + run.requestTimeoutMillis + slackMillis
  if (outcome !== undefined && operation.endedMillis <= endMillisMax) return undefined
  const endedMillis = outcome === undefined ? Infinity : operation.endedMillis
  if (disturbedNodes(run.disturbances, beganMillis, endedMillis).has(operation.node)) return undefined
  return outcome === undefined
    ? `${operationWords(operation)} never ended`
    : `${operationWords(operation)} took ${endedMillis - beganMillis} ms, ` +
      `though it has ${run.requestTimeoutMillis} ms and its coordinator was undisturbed`
}

const failure = (run: Run, operation: Operation): string | undefined => {
  const { outcome } = operation
  if (run.replicationFactor !== 3 || operation.quorum !== 2 || outcome === undefined || outcome._tag === "Ok") {
    return undefined
  }
  if (outcome._tag === "Unknown" && outcome.error === "ClientGone") return undefined
  const nodes = disturbedNodes(run.disturbances, operation.beganMillis - settleMillis, operation.endedMillis)
  if (nodes.size > 1 || nodes.has(operation.node)) return undefined
  const error = outcome._tag === "Defect" ? "a defect" : outcome.error
  const [disturbed = "no node"] = nodes
  return `${operationWords(operation)} failed with ${error} (${outcome.detail}), ` +
    `though only ${disturbed} was disturbed since ${operation.beganMillis - settleMillis} ms`
}

const disturbedNodes = (
  disturbances: ReadonlyArray<Disturbance>,
  fromMillis: number,
  toMillis: number
): ReadonlySet<string> => {
  const nodes = new Set<string>()
  for (const disturbance of disturbances) {
    if (disturbance.fromMillis > toMillis || disturbance.toMillis < fromMillis) continue
    for (const node of disturbance.nodes) nodes.add(node)
  }
  return nodes
}
