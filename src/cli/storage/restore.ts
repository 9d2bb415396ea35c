/** `rondo storage restore`: makes a snapshot the data directory of a node. */
import { Effect, Option } from "effect"
import { Disk } from "../../disk/Disk.ts"
import type { Hole } from "../../storage/manifest/Holes.ts"
import * as describe from "../../storage/offline/describeDamage.ts"
import * as restoring from "../../storage/snapshot/restore.ts"
import { failed } from "../CommandFailed.ts"
import { print } from "../Output.ts"
import { bytes } from "../statusTable.ts"
import { counted } from "../Tally.ts"
import * as directory from "./directory.ts"
import type * as options from "./options.ts"
import { check } from "./verify.ts"

type Given = options.Given<typeof options.restore>

export const run = (given: Given) =>
  directory.run(
    given.snapshot,
    Effect.gen(function*() {
      const disk = yield* Disk
      yield* restoring.prepare(disk, given.snapshot, given.directory)
      const store = yield* directory.openReadOnly(given.snapshot)
      const { damage } = yield* check(store, given.quiet)
      if (damage.length > 0 && !given.allowDamage) {
        const places = damage.map(damageText).join("; ")
        return yield* failed(
          `${given.snapshot} is damaged in ${counted(damage.length, "place")}: ${places}. ` +
            "--allow-damage restores it all the same; the node then gets what is lost from other replicas"
        )
      }
      const report = yield* into(given, given.directory)
      const known = store.holes.slice(0, store.holesKnown)
      yield* print(given.json, { ...report, damage }, text(report, known, damage))
    })
  )

/** A restore that fails leaves nothing behind: it removes the directory that it made. */
const into = Effect.fnUntraced(function*({ allowDamage, snapshot }: Given, path: string) {
  const disk = yield* Disk
  const isNew = Option.isNone(yield* Effect.option(disk.list(path)))
  yield* disk.makeDirectory(path)
  const restored = Effect.scoped(
    Effect.andThen(directory.lock(path), restoring.restore(disk, snapshot, path, allowDamage))
  )
  return yield* Effect.onError(restored, () => isNew ? Effect.ignore(disk.removeDirectory(path)) : Effect.void)
})

const damageText = ({ file, offsetBytes, reason }: Hole): string =>
  reason === "it is missing" ? `${file} is missing` : `${file} at byte ${offsetBytes}`

const text = (report: restoring.RestoreReport, known: ReadonlyArray<Hole>, damage: ReadonlyArray<Hole>): string =>
  [
    `restored ${counted(report.tables, "table")} of ${bytes(report.bytes)} with ${
      counted(report.cells, "cell")
    } into ` +
    `${report.directory}, ${report.bytesCopied > 0 ? "copied" : "by hard links"}`,
    ...known.map(describe.lostSentence),
    ...(damage.length === 0 ? [] : [
      `${counted(damage.length, "place is", "places are")} damaged: ${damage.map(describe.place).join("; ")}. ` +
      "The node gets them from other replicas"
    ]),
    "",
    `Start a node with DATA_DIR=${report.directory}, and the NODE_ID of the node that the snapshot was taken of.`,
    "The directory has no identity on purpose: the node counts as new and does not vote in quorums (/readyz says so)",
    "until it has synced with every other replica. It gets writes that are newer than the snapshot from them.",
    "To restore a whole cluster, restore every node before you start the first. To fill a cluster of other nodes,",
    "start it empty, then:",
    "  rondo storage dump SNAPSHOT... | rondo import - --url HOST:PORT"
  ].join("\n")
