/** The progress of a long command, and its display: a bar on a terminal, a line now and then in a log. */
import { Clock, Effect } from "effect"
import { Output } from "./Output.ts"
import * as progress from "./progress.ts"

/** Changed in place by the command while it works. */
export interface Tally {
  readonly verb: string
  done: number
  failed: number
  retried: number
  /** 0 to 1; `undefined` when the size of the work is not known. */
  fraction: number | undefined
  readonly errors: Map<string, number>
}

export const make = (verb: string): Tally => ({
  verb,
  done: 0,
  failed: 0,
  retried: 0,
  fraction: undefined,
  errors: new Map()
})

export const countError = (tally: Tally, kind: string): void => {
  tally.errors.set(kind, (tally.errors.get(kind) ?? 0) + 1)
}

export const count = (value: number): string => Math.round(value).toLocaleString("en-US")

/** `1 table`, `1,200 tables`. */
export const counted = (value: number, singular: string, plural = `${singular}s`): string =>
  `${count(value)} ${value === 1 ? singular : plural}`

/** `0:07`, `12:34`, `1:02:03`. */
export const clockTime = (seconds: number): string => {
  const whole = Math.max(0, Math.ceil(seconds))
  const two = (value: number) => String(value).padStart(2, "0")
  const hours = Math.floor(whole / 3600)
  const minutes = Math.floor(whole / 60) % 60
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`
}

/** `ECONNREFUSED 12, 503 WriteQuorumFailed 3`, the most frequent first. */
const errorKinds = (tally: Tally): string =>
  Array.from(tally.errors)
    .sort(([leftKind, left], [rightKind, right]) => right - left || (leftKind < rightKind ? -1 : 1))
    .map(([kind, times]) => `${kind} ${count(times)}`)
    .join(", ")

const barColumns = 20

const bar = (fraction: number): string => {
  const full = Math.round(fraction * barColumns)
  return `${"█".repeat(full)}${"░".repeat(barColumns - full)} ${String(Math.floor(fraction * 100)).padStart(3)} %`
}

/** One line of progress. `perSecond` is the recent rate. */
export const lineOf = (tally: Tally, seconds: number, perSecond: number, withBar: boolean): string => {
  const parts = [tally.verb]
  if (tally.fraction !== undefined) {
    parts.push(withBar ? bar(tally.fraction) : `${Math.floor(tally.fraction * 100)} %`)
  }
  parts.push(counted(tally.done, "record"), `${count(perSecond)}/s`)
  if (tally.fraction !== undefined && tally.fraction > 0 && tally.fraction < 1) {
    parts.push(`${clockTime(seconds / tally.fraction - seconds)} left`)
  }
  if (tally.retried > 0) parts.push(`${count(tally.retried)} retried`)
  if (tally.failed > 0) parts.push(`${count(tally.failed)} failed`)
  if (tally.errors.size > 0) parts.push(`(${errorKinds(tally)})`)
  return parts.join("  ")
}

export const summarize = (tally: Tally, seconds: number) => ({
  records: tally.done,
  failed: tally.failed,
  retried: tally.retried,
  seconds,
  recordsPerSecond: seconds > 0 ? tally.done / seconds : 0,
  errors: Object.fromEntries(tally.errors)
})

/** `imported 63,666 records in 0:14 (4,512/s); 20 retried, 0 failed; errors: ECONNREFUSED 20`. */
export const summaryText = (tally: Tally, pastTense: string, seconds: number): string =>
  `${pastTense} ${counted(tally.done, "record")} in ${clockTime(seconds)} (${
    count(tally.done / Math.max(seconds, 0.001))
  }/s); ` +
  `${count(tally.retried)} retried, ${count(tally.failed)} failed` +
  (tally.errors.size === 0 ? "" : `; errors: ${errorKinds(tally)}`)

/** The end of the work, for programs or for people. */
export const summary = (tally: Tally, pastTense: string, seconds: number, isJson: boolean): string =>
  isJson ? JSON.stringify(summarize(tally, seconds)) : summaryText(tally, pastTense, seconds)

/** Weight of the newest interval in the rate that a terminal shows. */
const rateWeight = 0.2

/** Shows the progress of `work` on standard error while it runs; returns its result and the seconds it took. */
export const during = <A, E, R>(tally: Tally, quiet: boolean, work: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const { noticeIsTerminal } = yield* Output
    const startedAtMillis = yield* Clock.currentTimeMillis
    let rate: number | undefined
    let before = { done: tally.done, atMillis: startedAtMillis }
    const line = Effect.map(Clock.currentTimeMillis, (atMillis) => {
      const latest = (tally.done - before.done) * 1000 / Math.max(atMillis - before.atMillis, 1)
      rate = rate === undefined || !noticeIsTerminal ? latest : rate + (latest - rate) * rateWeight
      before = { done: tally.done, atMillis }
      return lineOf(tally, (atMillis - startedAtMillis) / 1000, rate, noticeIsTerminal)
    })
    const result = yield* progress.during(quiet, () => line, work)
    return { result, seconds: ((yield* Clock.currentTimeMillis) - startedAtMillis) / 1000 }
  })
