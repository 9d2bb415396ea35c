/**
 * Which views are open, by the round after which each was opened: what publishing a cell must keep older ones for.
 */
import type * as Memtable from "./Memtable.ts"

export interface OpenViews {
  readonly open: (sequence: number) => void
  readonly close: (sequence: number) => void
  readonly current: () => Memtable.OpenViews
}

export const make = (): OpenViews => {
  /** In the order of their rounds, in which views are opened. */
  const counts = new Map<number, number>()
  let current: Memtable.OpenViews = []

  return {
    open: (sequence) => {
      const count = counts.get(sequence) ?? 0
      counts.set(sequence, count + 1)
      if (count === 0) current = [...current, sequence]
    },
    close: (sequence) => {
      const count = counts.get(sequence)! - 1
      if (count > 0) return void counts.set(sequence, count)
      counts.delete(sequence)
      current = Array.from(counts.keys())
    },
    current: () => current
  }
}
