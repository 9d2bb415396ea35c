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
  const { acknowledged, convergedAfterMillis, faults, holesClosed, messages, operations, virtualMillis } =
    verdict.figures
  totals.seeds++
  totals.virtualMillis += virtualMillis
  totals.operations += operations
  totals.acknowledged += acknowledged
  totals.messages += messages.messages
  totals.lost += messages.lost
  totals.duplicated += messages.duplicated
  totals.late += messages.late
  totals.holesClosed += holesClosed
  totals.convergedAfterMillisMax = Math.max(totals.convergedAfterMillisMax, convergedAfterMillis ?? 0)
  for (const [kind, times] of Object.entries(faults)) totals.faults[kind] = (totals.faults[kind] ?? 0) + times
  if (verdict.broken.length > 0) totals.failures.push(verdict)
}
