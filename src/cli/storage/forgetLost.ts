/** `rondo storage forget-lost`: gives up cells that damage destroyed, when no replica has them any more. */
import { Effect } from "effect"
import * as describe from "../../storage/offline/describeDamage.ts"
import { printLine } from "../Output.ts"
import { counted } from "../Tally.ts"
import * as directory from "./directory.ts"
import type * as options from "./options.ts"

type Given = options.Given<typeof options.forgetLost>

export const run = (given: Given) =>
  directory.run(
    given.directory,
    Effect.gen(function*() {
      // Nothing is changed without --yes, not even the end of a damaged log.
      const { holes, logs = [] } = given.yes
        ? { holes: yield* forget(given.directory) }
        : yield* directory.openReadOnly(given.directory)
      const ranges = holes.map(describe.keysOf)
      const damagedLogs = logs.flatMap(({ path, problem }) => problem === undefined ? [] : [path])
      if (given.json) yield* printLine(JSON.stringify({ forgotten: given.yes, holes }))
      else if (holes.length === 0) {
        yield* printLine(
          damagedLogs.length === 0
            ? "no lost cells are known"
            : `no lost cells are known in tables; ${damagedLogs.join(", ")} ` +
              `${damagedLogs.length === 1 ? "is" : "are"} damaged: see rondo storage verify`
        )
      } else if (given.yes) yield* printLine(["gave up the lost cells of", ...ranges].join("\n"))
      else {
        yield* printLine([
          `${
            counted(holes.length, "range has", "ranges have")
          } lost cells, which a running node takes from other replicas:`,
          ...ranges,
          "Give them up only when no replica has them any more. A read there then returns what is left: an older",
          "value, a deleted one, or nothing. Other replicas may take that over. Add --yes to confirm."
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
