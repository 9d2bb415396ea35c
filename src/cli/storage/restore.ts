/** `rondo storage restore`: makes a snapshot the data directory of a node. */
import { Effect } from "effect"
import { Disk } from "../../storage/Disk.ts"
import * as ReadOnly from "../../storage/offline/ReadOnly.ts"
import * as restoring from "../../storage/snapshot/restore.ts"
import { CommandFailed } from "../CommandFailed.ts"
import { printLine } from "../Output.ts"
import { bytes } from "../statusTable.ts"
import { count } from "../Tally.ts"
import * as directory from "./directory.ts"
import { check } from "./verify.ts"

export interface Given {
  readonly snapshot: string
  readonly directory: string
  readonly allowDamage: boolean
  readonly json: boolean
  readonly quiet: boolean
}

export const restore = (given: Given) =>
  directory.run(
    given.snapshot,
    Effect.gen(function*() {
      const disk = yield* Disk
      const store = yield* directory.openReadOnly(given.snapshot)
      const { damage } = yield* check(store, given.quiet)
      if (damage.length > 0 && !given.allowDamage) {
        return yield* new CommandFailed({
          message:
            `${given.snapshot} is damaged in ${count(damage.length)} places, which rondo storage verify names. ` +
            "With --allow-damage it is restored all the same, and the node asks other replicas for what is lost"
        })
      }
      yield* disk.makeDirectory(given.directory)
      yield* disk.lock(given.directory)
      const report = yield* restoring.restore(disk, given.snapshot, given.directory)
      yield* printLine(given.json ? JSON.stringify(report) : text(report, ReadOnly.problems(store)))
    })
  )

const text = (report: restoring.RestoreReport, problems: ReadonlyArray<string>): string =>
  [
    `restored ${count(report.tables)} tables of ${bytes(report.bytes)} with ${count(report.cells)} cells into ` +
    `${report.directory}, ${report.bytesCopied > 0 ? "copied" : "by hard links"}`,
    ...problems,
    "",
    `Start a node with DATA_DIR=${report.directory}, and the NODE_ID of the node that the snapshot is of.`,
    "The directory has no identity on purpose: the node counts as new, and for no quorum (/readyz says so), until it has",
    "compared with every other replica. What was written after the snapshot comes from them.",
    "For a whole cluster, restore every node before you start the first. For a cluster of other nodes, start it empty:",
    "  rondo storage dump SNAPSHOT... | rondo import - --url HOST:PORT"
  ].join("\n")
