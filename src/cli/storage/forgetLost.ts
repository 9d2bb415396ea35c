/** `rondo storage forget-lost`: gives up what damage has taken, when no replica can give it back. */
import { Effect } from "effect"
import * as describe from "../../storage/offline/describeDamage.ts"
import { printLine } from "../Output.ts"
import { counted } from "../Tally.ts"
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
      const { holes, logs = [] } = given.yes
        ? { holes: yield* forget(given.directory) }
        : yield* directory.openReadOnly(given.directory)
      const ranges = holes.map(describe.keysOf)
      const damagedLogs = logs.flatMap(({ path, problem }) => problem === undefined ? [] : [path])
      if (given.json) yield* printLine(JSON.stringify({ forgotten: given.yes, holes }))
      else if (holes.length === 0) {
        yield* printLine(
          damagedLogs.length === 0
            ? "nothing is known to be lost"
            : `no cells of tables are known to be lost; ${damagedLogs.join(", ")} ` +
              `${damagedLogs.length === 1 ? "is" : "are"} damaged: see rondo storage verify`
        )
      } else if (given.yes) yield* printLine(["gave up what was lost of", ...ranges].join("\n"))
      else {
        yield* printLine([
          `${
            counted(holes.length, "range has", "ranges have")
          } lost cells, which a running node takes from other replicas:`,
          ...ranges,
          "Give them up only when no replica has them any more. Reads there will answer what is left, which may be an",
          "older value of a key, a deleted one, or nothing, and the other replicas may take it over. With --yes it is done."
        ].join("\n"))
      }
    })
  )

const forget = Effect.fnUntraced(function*(path: string) {
  const engine = yield* directory.openEngine(path)
  const { holes } = yield* engine.stats
  yield* engine.closeHoles(holes)
  return holes
})
