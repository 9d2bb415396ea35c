/**
 * No two acknowledged writes, of whatever keys, share a version, none lacks one, and no node raised an alarm such as
 * about two cells with one version.
 */
import * as Version from "../../../src/domain/Version.ts"
import type { Checker, Operation, Violation } from "../History.ts"
import { operationWords } from "./words.ts"

const promise = "unique-versions"

export const uniqueVersions: Checker = (run) => {
  const violations: Array<Violation> = run.alarms.map(({ atMillis, node, text }) => ({
    promise,
    detail: `${node} raised an alarm at ${atMillis} ms: ${text}`,
    operations: []
  }))
  const byVersion = new Map<string, Operation>()
  for (const operation of run.operations) {
    if (operation.kind === "get" || operation.outcome?._tag !== "Ok") continue
    const { version } = operation.outcome
    if (version === undefined) {
      const detail = `${operationWords(operation)} was acknowledged without a version`
      violations.push({ promise, detail, operations: [operation] })
      continue
    }
    const formatted = Version.format(version)
    const other = byVersion.get(formatted)
    if (other === undefined) byVersion.set(formatted, operation)
    else {
      const detail = `${operationWords(other)} and ${
        operationWords(operation)
      } were both acknowledged with ${formatted}`
      violations.push({ promise, detail, operations: [other, operation] })
    }
  }
  return violations
}
