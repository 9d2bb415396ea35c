/**
 * The calls of a store that a test disturbs. The setup is not disturbed, so that the first disturbed disk operation
 * belongs to the work that the workload is named after.
 */
import type { Cell } from "../../../src/domain/cell/Cell.ts"
import type * as Engine from "../../../src/storage/Engine.ts"
import { cell, tombstone } from "../store.ts"
import type { Call } from "./Ledger.ts"

export type Step =
  /** Calls of `apply` at the same time. */
  | ReadonlyArray<Call>
  | "flush"
  | "compact"
  | "snapshot"
  /** Waits until the background work is done. */
  | "idle"

export interface Workload {
  readonly name: string
  readonly settings: Partial<Engine.Options>
  readonly setup: ReadonlyArray<Step>
  readonly steps: ReadonlyArray<Step>
  /** Finds a workload that no longer does its work. */
  readonly operationsMin: number
}

/** Counters rise, so that a later cell is newer than all earlier ones. */
const writing = () => {
  let counter = 0
  const put = (key: string, bytes = 60): Cell => cell(key, ++counter, `${key}@${counter} `.repeat(bytes / 10))
  const remove = (key: string): Cell => tombstone(key, ++counter)
  /** Keys spread over the whole range, some of them overwritten by each round. */
  const round = (size: number): ReadonlyArray<Step> =>
    Array.from({ length: size }, () => [[put(`k${(counter * 7) % 23}`, 150), put(`k${(counter * 5) % 23}`)]])
  return { put, remove, round }
}

const workload = (
  name: string,
  settings: Workload["settings"],
  operationsMin: number,
  stepsOf: (write: ReturnType<typeof writing>) => Pick<Workload, "setup" | "steps">
): Workload => ({ name, settings, operationsMin, ...stepsOf(writing()) })

const small = { memtableBytesMax: 2000 }

const logRotation = workload("writes that fill one memtable after the other", small, 40, ({ put, remove, round }) => ({
  setup: [[[put("a"), put("b"), put("deleted")]]],
  steps: [
    [[put("a"), put("b")], [remove("deleted"), put("c", 500)]],
    ...round(6),
    [[put("large", 3000), put("a")], [put("b")], [put("c")]],
    ...round(4),
    [[remove("a"), put("z")]],
    "idle"
  ]
}))

const flush = workload("a flush", {}, 15, ({ put, remove, round }) => ({
  setup: [[[put("a"), put("b"), put("deleted")]], "flush", ...round(4), [[remove("deleted"), put("a")]]],
  steps: ["flush", [[put("b")]], "idle"]
}))

/** So small that a few flushes fill more than one level below level 0. */
const levels = { memtableBytesMax: 2000, level0Tables: 2, tableBytes: 700, levelBytes: 1500, blockBytes: 300 }

const compaction = workload("compactions through several levels", levels, 60, ({ put, remove, round }) => ({
  setup: [
    [[put("a"), put("deleted")]],
    ...round(4),
    "flush",
    [[put("b"), remove("deleted")]],
    ...round(3),
    "flush",
    "idle",
    [[put("a")]]
  ],
  steps: ["flush", ...round(3), "flush", [[put("c"), remove("b")]], "idle"]
}))

const fullCompaction = workload("a compaction of everything", levels, 40, ({ put, remove, round }) => ({
  setup: [[[put("a"), put("deleted")]], ...round(5), "flush", "idle", [[put("b"), remove("deleted")]]],
  steps: [[[put("a")]], "compact", [[put("c"), remove("b")]], "idle"]
}))

/** The tombstones meet what they hide at different times: on the way down, in the last level, and not yet. */
const purge = workload(
  "the dropping of tombstones",
  { ...levels, tombstones: "purge" },
  50,
  ({ put, remove, round }) => ({
    setup: [
      [[put("a"), put("b"), put("c"), put("deleted")]],
      ...round(4),
      "compact",
      [[remove("a"), remove("deleted")]],
      ...round(2),
      "flush",
      "idle",
      [[remove("b"), remove("k7"), remove("never there")]]
    ],
    steps: ["flush", "idle", [[remove("c"), put("a")]], "compact", [[put("deleted")]], "idle"]
  })
)

const snapshot = workload("snapshots", levels, 40, ({ put, remove, round }) => ({
  setup: [[[put("a"), put("deleted")]], ...round(3), "flush", "idle", [[put("b"), remove("deleted")]]],
  steps: ["snapshot", [[put("a"), remove("b")]], "flush", "snapshot", "idle"]
}))

export const workloads: ReadonlyArray<Workload> = [
  logRotation,
  flush,
  compaction,
  fullCompaction,
  purge,
  snapshot
]

/** Leaves logs, tables and files of unfinished work to the next start. */
export const beforeRecovery = workload("a recovery", small, 30, ({ put, remove, round }) => ({
  setup: [[[put("a"), put("b"), put("deleted")]], "flush", ...round(6), [[remove("deleted")]], "idle"],
  steps: [[[put("a"), put("b")]], ...round(5), "flush", ...round(2)]
}))
