/** The progress of long work on standard error: one line redrawn on a terminal, a line now and then in a log. */
import { Effect } from "effect"
import { Output } from "./Output.ts"

const redrawMillis = 200
/** Often enough to see that work is running, seldom enough for a log. */
const logLineMillis = 5000

export const during = <A, E, R>(isQuiet: boolean, line: () => Effect.Effect<string>, work: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const { columns, notice, noticeIsTerminal } = yield* Output
    if (isQuiet) return yield* work
    const show = Effect.forever(Effect.gen(function*() {
      yield* Effect.sleep(noticeIsTerminal ? redrawMillis : logLineMillis)
      const text = yield* line()
      yield* notice(noticeIsTerminal ? `\r\x1b[K${text.slice(0, columns() - 1)}` : `${text}\n`)
    }))
    const clear = noticeIsTerminal ? notice("\r\x1b[K") : Effect.void
    return yield* Effect.ensuring(Effect.raceFirst(work, show), clear)
  })

export const percent = (done: number, total: number): string =>
  `${total === 0 ? 100 : Math.min(100, Math.floor(100 * done / total))} %`
