/**
 * Reads the whole store again and again in the background, slowly, so that what decays on the disk is found while other
 * replicas still have it, and not when the last of them is gone.
 *
 * A pass goes over the tables that were there when it began, oldest first, and leaves out those that compaction has
 * taken away meanwhile: compaction read them. After a pass it rests, or a small store would be read without end.
 *
 * Source: Schwarz et al., "Disk Scrubbing in Large Archival Storage Systems" (MASCOTS 2004).
 */
import { Clock, Effect } from "effect"
import * as Levels from "../Levels.ts"
import * as Table from "../sstable/Table.ts"
import type { State } from "../State.ts"
import * as TableCheck from "./TableCheck.ts"
import { optionsOf, spanBytes } from "./verify.ts"

/** Before the first pass, since a node that starts has more urgent work, and while there are no tables. */
const delayBeforeFirst = "1 minute"

/** Decay takes months; a day between passes keeps small stores from being read all the time. */
const restAfterPass = "1 day"

export interface ScrubStats {
  /** 0: it is off. */
  readonly bytesPerSecond: number
  /** Whether a pass is under way; else it rests. */
  readonly running: boolean
  /** Of the pass that is under way, or else of the last one. */
  readonly bytesDone: number
  readonly bytesTotal: number
  readonly passes: number
  readonly lastPassEndedAtMillis: number | undefined
  /** Places that were found damaged since the start. */
  readonly damaged: number
}

export interface Scrubber {
  readonly run: Effect.Effect<never>
  readonly stats: () => ScrubStats
}

export const make = (state: State, bytesPerSecond: number): Scrubber => {
  let stats: ScrubStats = {
    bytesPerSecond,
    running: false,
    bytesDone: 0,
    bytesTotal: 0,
    passes: 0,
    lastPassEndedAtMillis: undefined,
    damaged: 0
  }
  const change = (changed: Partial<ScrubStats>) => {
    stats = { ...stats, ...changed }
  }
  /** No step takes more than a second of what the rate allows, unless a single block does. */
  const options = { ...optionsOf(state), spanBytes: Math.min(spanBytes, bytesPerSecond) }

  const scrub = Effect.fnUntraced(function*(table: Table.Table) {
    const check = TableCheck.make(table, options)
    const before = stats.damaged
    while (isLive(state, table)) {
      const bytes = yield* check.step
      if (bytes === undefined) break
      change({ bytesDone: stats.bytesDone + bytes, damaged: before + check.damage.length })
      yield* Effect.sleep(Math.ceil(bytes * 1000 / bytesPerSecond))
    }
    for (const { file, from, offsetBytes, reason, to } of check.damage) {
      yield* Effect.logError(
        `the scrub found ${file} damaged at byte ${offsetBytes}, which holds keys from ${JSON.stringify(from)} up to ` +
          `${JSON.stringify(to)}: ${reason}`
      )
    }
  })

  const pass = Effect.gen(function*() {
    const end = state.tables.nextFile
    change({ running: true, bytesDone: 0, bytesTotal: Levels.bytesOf(Levels.all(state.tables.levels)) })
    for (let table = tableFrom(state, 0, end); table !== undefined; table = tableFrom(state, table.id + 1, end)) {
      yield* Table.held(table, scrub(table))
    }
    change({ running: false, passes: stats.passes + 1, lastPassEndedAtMillis: yield* Clock.currentTimeMillis })
    yield* Effect.sleep(restAfterPass)
  })
  const passIfAny = Effect.suspend(() =>
    Levels.all(state.tables.levels).length === 0 ? Effect.sleep(delayBeforeFirst) : pass
  )

  return {
    run: Effect.andThen(Effect.sleep(delayBeforeFirst), Effect.forever(passIfAny)),
    stats: () => stats
  }
}

/** The oldest live table with a number from `from` on and below `end`. */
const tableFrom = (state: State, from: number, end: number): Table.Table | undefined => {
  let found: Table.Table | undefined
  for (const table of Levels.all(state.tables.levels)) {
    if (table.id >= from && table.id < end && (found === undefined || table.id < found.id)) found = table
  }
  return found
}

const isLive = (state: State, table: Table.Table): boolean =>
  state.tables.levels.some((tables) => tables.includes(table))
