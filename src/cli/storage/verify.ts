/** `rondo storage verify`: reads everything, and says what is damaged. */
import { Effect } from "effect"
import { bytesOf } from "../../storage/compaction/pick.ts"
import { Disk } from "../../storage/Disk.ts"
import * as verification from "../../storage/integrity/verify.ts"
import * as Levels from "../../storage/Levels.ts"
import type * as ReadOnly from "../../storage/offline/ReadOnly.ts"
import { CommandFailed } from "../CommandFailed.ts"
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

/** Of a store that was opened: its tables line by line, and what opening it has told. */
export const check = Effect.fnUntraced(function*(store: ReadOnly.ReadOnly, isQuiet: boolean) {
  const disk = yield* Disk
  const tables = Levels.all(store.levels)
  const total = bytesOf(tables)
  let done = 0
  const damage = yield* progress.during(
    isQuiet,
    () => Effect.sync(() => `verifying  ${progress.percent(done, total)}  ${bytes(done)}`),
    Effect.provide(
      verification.checkTables(
        tables,
        {
          disk,
          directory: store.directory,
          spanBytes: verification.spanBytes,
          repairIndex: false,
          lines: true
        },
        (step) => {
          done += step
        }
      ),
      directory.quiet
    )
  )
  return verification.reportOf(
    tables,
    [...store.holes.slice(store.holesKnown), ...damage],
    store.holes.slice(
      0,
      store.holesKnown
    )
  )
})

export const verify = (given: Given) =>
  directory.run(
    given.directory,
    Effect.gen(function*() {
      const store = yield* directory.openReadOnly(given.directory)
      const report = yield* check(store, given.quiet)
      const logs = store.logs.map(({ problem, ...log }) => problem === undefined ? log : { ...log, problem })
      const problems = [
        ...report.damage.map(({ file, from, offsetBytes, reason, to }) =>
          `${file} at byte ${offsetBytes}, keys from ${JSON.stringify(from)} up to ${JSON.stringify(to)}: ${reason}`
        ),
        ...store.logs.flatMap(({ path, problem }) => problem === undefined ? [] : [`${path}: ${problem}`])
      ]
      const checked = `${count(report.tables)} tables, ${count(report.blocks)} blocks, ${bytes(report.bytes)}, ` +
        `${count(store.logs.length)} logs`
      yield* printLine(
        given.json
          ? JSON.stringify({ ...report, logs, problems })
          : [
            ...problems,
            ...report.holes.map(({ file, from, to }) =>
              `lost before: keys from ${JSON.stringify(from)} up to ${JSON.stringify(to)}, of ${file}`
            ),
            `${problems.length === 0 ? "whole" : "damaged"}: ${checked} checked, ${count(problems.length)} problems`
          ].join("\n")
      )
      if (problems.length > 0) {
        return yield* new CommandFailed({
          message: `${given.directory} is damaged. A node that starts on it takes what tables have lost from other ` +
            "replicas; rondo storage dump --skip-damage saves what is left"
        })
      }
    })
  )
