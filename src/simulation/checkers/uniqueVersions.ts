/** Every acknowledged write, of any key, has a version of its own, and no node raised an alarm. */
import * as Version from "../../domain/Version.ts"
import type { Checker, Violation } from "../History.ts"
import { byVersion, keyHistories } from "./KeyHistory.ts"
import { operationWords } from "./words.ts"

const promise = "unique-versions"

export const uniqueVersions: Checker = (run) => {
  const violations: Array<Violation> = run.alarms.map(({ atMillis, node, text }) => ({
    promise,
    detail: `${node} raised an alarm at ${atMillis} ms: ${text}`,
    operations: []
  }))
  for (const operation of run.operations) {
    if (operation.kind === "get" || operation.outcome?._tag !== "Ok" || operation.outcome.version !== undefined) {
      continue
    }
    const detail = `${operationWords(operation)} was acknowledged without a version`
    violations.push({ promise, detail, operations: [operation] })
  }
  const writes = keyHistories(run).flatMap(({ acknowledged }) => acknowledged).sort(byVersion)
  for (let index = 1; index < writes.length; index++) {
    const [first, second] = [writes[index - 1]!, writes[index]!]
    if (byVersion(first, second) !== 0) continue
    const detail = `${operationWords(first.operation)} and ${operationWords(second.operation)} ` +
      `were both acknowledged with ${Version.format(first.version)}`
    violations.push({ promise, detail, operations: [first.operation, second.operation] })
  }
  return violations
}
