/** `rondo storage forget-lost`: gives up what damage has taken, when no replica can give it back. */
import { Effect } from "effect"
import { CommandFailed } from "../CommandFailed.ts"
import { printLine } from "../Output.ts"
import { count } from "../Tally.ts"
import * as directory from "./directory.ts"

export interface Given {
  readonly directory: string
  readonly yes: boolean
  readonly json: boolean
}

export const forgetLost = (given: Given) =>
  directory.run(
    given.directory,
    Effect.gen(function*() {
      // Without consent not even a log is cut.
      const holes = given.yes ? yield* forget(given.directory) : (yield* directory.openReadOnly(given.directory)).holes
      const ranges = holes.map(({ from, to }) => `keys from ${JSON.stringify(from)} up to ${JSON.stringify(to)}`)
      if (given.json) yield* printLine(JSON.stringify({ forgotten: given.yes, holes }))
      else if (holes.length === 0) yield* printLine("nothing is known to be lost")
      else if (given.yes) yield* printLine(["gave up what was lost of", ...ranges].join("\n"))
      if (holes.length === 0 || given.yes) return
      return yield* new CommandFailed({
        message: [
          `${count(holes.length)} ranges have lost cells, which a running node takes from other replicas:`,
          ...ranges,
          "Give them up only when no replica has them any more. Reads there will answer what is left, which may be an",
          "older value of a key, a deleted one, or nothing, and the other replicas may take it over. With --yes it is done."
        ].join("\n")
      })
    })
  )

const forget = Effect.fnUntraced(function*(path: string) {
  const engine = yield* directory.openEngine(path)
  const { holes } = yield* engine.stats
  yield* engine.closeHoles(holes)
  return holes
})
