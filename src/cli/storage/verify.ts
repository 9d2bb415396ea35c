/** `rondo storage verify`: reads everything and lists damage. */
import { Effect } from "effect"
import { Disk } from "../../disk/Disk.ts"
import * as verification from "../../storage/integrity/verify.ts"
import * as Levels from "../../storage/Levels.ts"
import * as describe from "../../storage/offline/describeDamage.ts"
import type * as ReadOnly from "../../storage/offline/ReadOnly.ts"
import { failed } from "../CommandFailed.ts"
import { print } from "../Output.ts"
import * as progress from "../progress.ts"
import { bytes } from "../statusTable.ts"
import { counted } from "../Tally.ts"
import * as directory from "./directory.ts"
import type * as options from "./options.ts"

type Given = options.Given<typeof options.verify>

/** Reads the tables of an open store line by line; the report includes the damage that opening it found. */
export const check = Effect.fnUntraced(function*(store: ReadOnly.ReadOnly, isQuiet: boolean) {
  const disk = yield* Disk
  const tables = Levels.all(store.levels)
  const total = Levels.bytesOf(tables)
  let done = 0
  const damage = yield* progress.during(
    isQuiet,
    () => Effect.sync(() => `verifying  ${progress.percent(done, total)}  ${bytes(done)}`),
    verification.checkTables(
      tables,
      { disk, directory: store.directory, spanBytes: verification.spanBytes, repairIndex: false, lines: true },
      (step) => {
        done += step
      }
    )
  )
  return verification.reportOf(
    tables,
    [...store.holes.slice(store.holesKnown), ...damage],
    store.holes.slice(0, store.holesKnown)
  )
})

export const run = (given: Given) =>
  directory.runReading(
    given.directory,
    Effect.gen(function*() {
      const store = yield* directory.openReadOnly(given.directory)
      const report = yield* check(store, given.quiet)
      const logs = store.logs.map(({ problem, ...log }) => problem === undefined ? log : { ...log, problem })
      const logProblems = describe.logProblems(store.logs)
      const problems = [
        ...report.damage.map((hole) =>
          `${hole.file} at byte ${hole.offsetBytes}, ${describe.keysOf(hole)}: ${hole.reason}`
        ),
        ...logProblems
      ]
      const whole = problems.length === 0 && report.holes.length === 0
      const checked = [
        counted(report.tables, "table"),
        counted(report.blocks, "block"),
        bytes(report.bytes),
        `${counted(store.logs.length, "log")} checked`,
        counted(problems.length, "problem")
      ].join(", ")
      const verdict = problems.length > 0
        ? "damaged"
        : whole
        ? "whole"
        : `readable, but ${counted(report.holes.length, "range is", "ranges are")} lost`
      const lostBefore = report.holes.map((hole) => `lost before: ${describe.place(hole)}`)
      const text = [...problems, ...lostBefore, `${verdict}: ${checked}`].join("\n")
      yield* print(given.json, { whole, ...report, logs, problems }, text)
      if (!whole) return yield* failed(advice(given.directory, problems, logProblems))
    })
  )

const advice = (path: string, problems: ReadonlyArray<string>, logProblems: ReadonlyArray<string>): string =>
  logProblems.length > 0
    ? `${path} is damaged. A node does not start with this log; if other replicas have the data, start it once with ` +
      "--salvage. rondo storage dump --skip-damage saves what is left."
    : problems.length > 0
    ? `${path} is damaged. A node that starts on it gets what tables have lost from other replicas; ` +
      "rondo storage dump --skip-damage saves what is left"
    : `${path} has lost cells. A node that starts on it gets them from other replicas; when none has them any more, ` +
      "rondo storage forget-lost gives them up"
