/** `rondo storage compact`: rewrites a stopped node's store into its last level, without obsolete cells. */
import { Effect } from "effect"
import { printLine } from "../Output.ts"
import { bytes } from "../statusTable.ts"
import { count } from "../Tally.ts"
import * as directory from "./directory.ts"
import * as progress from "./progress.ts"

export interface Given {
  readonly directory: string
  readonly json: boolean
  readonly quiet: boolean
}

export const compact = (given: Given) =>
  directory.run(
    given.directory,
    Effect.gen(function*() {
      const engine = yield* directory.openEngine(given.directory)
      yield* engine.flush
      const before = yield* engine.stats
      yield* progress.during(
        given.quiet,
        () =>
          Effect.map(engine.stats, ({ tables }) => `compacting ${bytes(before.tableBytes)}  ${count(tables)} tables`),
        engine.compact
      )
      const after = yield* engine.stats
      const summary = {
        tablesBefore: before.tables,
        bytesBefore: before.tableBytes,
        tables: after.tables,
        bytes: after.tableBytes
      }
      yield* printLine(
        given.json
          ? JSON.stringify(summary)
          : `compacted ${count(before.tables)} tables of ${bytes(before.tableBytes)} into ` +
            `${count(after.tables)} of ${bytes(after.tableBytes)}`
      )
    })
  )
