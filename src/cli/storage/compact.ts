/** `rondo storage compact`: rewrites a stopped node's store into its last level, without obsolete cells. */
import { Effect } from "effect"
import { Disk } from "../../disk/Disk.ts"
import * as Holes from "../../storage/manifest/Holes.ts"
import * as Manifest from "../../storage/manifest/Manifest.ts"
import * as describe from "../../storage/offline/describeDamage.ts"
import { print, printLine } from "../Output.ts"
import * as progress from "../progress.ts"
import { bytes } from "../statusTable.ts"
import { count, counted } from "../Tally.ts"
import * as directory from "./directory.ts"
import type * as options from "./options.ts"

type Given = options.Given<typeof options.compact>

export const run = (given: Given) =>
  directory.run(
    given.directory,
    Effect.gen(function*() {
      const known = yield* holesKnown(given.directory)
      const engine = yield* directory.openEngine(given.directory)
      yield* engine.flush
      const before = yield* engine.stats
      const isKept = (yield* directory.tombstonesOf(yield* Disk, given.directory)) === "keep"
      const isDone = isKept && before.holes.length === known.length && before.damage === undefined &&
        before.levels.slice(0, -1).every(({ tables }) => tables === 0)
      if (isDone && !given.json) return yield* printLine("nothing to compact: the store is one sorted run already")
      if (!isDone) {
        yield* progress.during(
          given.quiet,
          () =>
            Effect.map(
              engine.stats,
              ({ tables }) => `compacting ${bytes(before.tableBytes)}  ${counted(tables, "table")}`
            ),
          engine.compact
        )
      }
      const after = yield* engine.stats
      const lost = after.holes.filter((hole) => !known.some((other) => Holes.isSame(hole, other)))
      const text = [
        `compacted ${counted(before.tables, "table")} of ${bytes(before.tableBytes)} into ` +
        `${count(after.tables)} of ${bytes(after.tableBytes)}`,
        ...(lost.length === 0 ? [] : [
          `${counted(lost.length, "range")} could not be read and ${lost.length === 1 ? "is" : "are"} lost here: ` +
          "a node that starts on this directory gets the cells from other replicas",
          ...lost.map(describe.place)
        ])
      ]
      const bytesOfTables = { bytesBefore: before.tableBytes, bytes: after.tableBytes }
      const tables = { tablesBefore: before.tables, tables: after.tables }
      yield* print(given.json, { ...tables, ...bytesOfTables, lost }, text.join("\n"))
    })
  )

/** Read before the engine opens the directory, since opening may find more damage. */
const holesKnown = Effect.fnUntraced(function*(path: string) {
  const manifest = yield* Effect.option(Manifest.read(yield* Disk, path))
  return manifest._tag === "Some" ? manifest.value?.holes ?? [] : []
})
