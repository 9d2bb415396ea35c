/**
 * Which views are open, by the round after which each was opened: what publishing a cell must keep older ones for.
 */
import type * as Memtable from "./Memtable.ts"

export interface OpenViews {
  readonly open: (sequence: number) => void
  readonly close: (sequence: number) => void
  /** The oldest and the newest; `undefined` while none is open. */
  readonly current: () => Memtable.OpenViews | undefined
}

export const make = (): OpenViews => {
  const counts = new Map<number, number>()
  let current: Memtable.OpenViews | undefined

  // Views are opened in the order of their rounds, and the map keeps that order.
  const refresh = () => {
    let oldest: number | undefined
    let newest = 0
    for (const sequence of counts.keys()) {
      oldest ??= sequence
      newest = sequence
    }
    current = oldest === undefined ? undefined : { oldest, newest }
  }

  return {
    open: (sequence) => {
      const count = counts.get(sequence) ?? 0
      counts.set(sequence, count + 1)
      if (count === 0) current = { oldest: current?.oldest ?? sequence, newest: sequence }
    },
    close: (sequence) => {
      const count = counts.get(sequence)! - 1
      if (count > 0) return void counts.set(sequence, count)
      counts.delete(sequence)
      refresh()
    },
    current: () => current
  }
}
