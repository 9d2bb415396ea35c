/** Sums over many runs. */
import type { Verdict } from "./verdict.ts"

export interface Totals {
  seeds: number
  virtualMillis: number
  operations: number
  acknowledged: number
  messages: number
  lost: number
  duplicated: number
  late: number
  /** Ranges of keys that rotted and were made whole. */
  holesClosed: number
  /** Longest time to agreement after the last fault. */
  convergedAfterMillisMax: number
  readonly faults: Record<string, number>
  readonly failures: Array<Verdict>
}

export const make = (): Totals => ({
  seeds: 0,
  virtualMillis: 0,
  operations: 0,
  acknowledged: 0,
  messages: 0,
  lost: 0,
  duplicated: 0,
  late: 0,
  holesClosed: 0,
  convergedAfterMillisMax: 0,
  faults: {},
  failures: []
})

export const add = (totals: Totals, verdict: Verdict): void => {
  totals.seeds++
  if (verdict.broken.length > 0) totals.failures.push(verdict)
  const { figures } = verdict
  if (figures === undefined) return
  for (const name of ["virtualMillis", "operations", "acknowledged", "holesClosed"] as const) {
    totals[name] += figures[name]
  }
  for (const name of ["messages", "lost", "duplicated", "late"] as const) totals[name] += figures.messages[name]
  totals.convergedAfterMillisMax = Math.max(totals.convergedAfterMillisMax, figures.convergedAfterMillis ?? 0)
  for (const [kind, times] of Object.entries(figures.faults)) totals.faults[kind] = (totals.faults[kind] ?? 0) + times
}
