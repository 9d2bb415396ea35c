/**
 * What a store does while it is disturbed. Each begins with a setup in peace, so that the first disk operation that is
 * disturbed belongs to what the workload is named after.
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
  /** Until the background has nothing to do. */
  | "idle"

export interface Workload {
  readonly name: string
  readonly settings: Partial<Engine.Options>
  readonly setup: ReadonlyArray<Step>
  readonly steps: ReadonlyArray<Step>
  /** So that a workload that does not do what its name says any more is found. */
  readonly operationsMin: number
}

/** Cells with counters that rise, so that a later one is newer than whatever an earlier call may have left. */
const writing = () => {
  let counter = 0
  const put = (key: string, bytes = 60): Cell => cell(key, ++counter, `${key}@${counter} `.repeat(bytes / 10))
  const remove = (key: string): Cell => tombstone(key, ++counter)
  /** Keys spread over the whole range, some of them overwritten by each round. */
  const round = (size: number): ReadonlyArray<Step> =>
    Array.from({ length: size }, () => [[put(`k${(counter * 7) % 23}`, 150), put(`k${(counter * 5) % 23}`)]])
  return { put, remove, round }
}

const small = { memtableBytesMax: 2000 }

const logRotation = (): Workload => {
  const { put, remove, round } = writing()
  return {
    name: "writes that fill one memtable after the other",
    settings: small,
    setup: [[[put("a"), put("b"), put("deleted")]]],
    steps: [
      [[put("a"), put("b")], [remove("deleted"), put("c", 500)]],
      ...round(6),
      [[put("large", 3000), put("a")], [put("b")], [put("c")]],
      ...round(4),
      [[remove("a"), put("z")]],
      "idle"
    ],
    operationsMin: 40
  }
}

const flush = (): Workload => {
  const { put, remove, round } = writing()
  return {
    name: "a flush",
    settings: {},
    setup: [[[put("a"), put("b"), put("deleted")]], "flush", ...round(4), [[remove("deleted"), put("a")]]],
    steps: ["flush", [[put("b")]], "idle"],
    operationsMin: 15
  }
}

/** So small that a handful of flushes fills more than one level below level 0. */
const levels = { memtableBytesMax: 2000, level0Tables: 2, tableBytes: 700, levelBytes: 1500, blockBytes: 300 }

const compaction = (): Workload => {
  const { put, remove, round } = writing()
  return {
    name: "compactions through several levels",
    settings: levels,
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
    steps: ["flush", ...round(3), "flush", [[put("c"), remove("b")]], "idle"],
    operationsMin: 60
  }
}

const fullCompaction = (): Workload => {
  const { put, remove, round } = writing()
  return {
    name: "a compaction of everything",
    settings: levels,
    setup: [[[put("a"), put("deleted")]], ...round(5), "flush", "idle", [[put("b"), remove("deleted")]]],
    steps: [[[put("a")]], "compact", [[put("c"), remove("b")]], "idle"],
    operationsMin: 40
  }
}

/** The tombstones meet what they hide at different times: on the way down, in the last level, and not yet. */
const purge = (): Workload => {
  const { put, remove, round } = writing()
  return {
    name: "the dropping of tombstones",
    settings: { ...levels, tombstones: "purge" },
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
    steps: ["flush", "idle", [[remove("c"), put("a")]], "compact", [[put("deleted")]], "idle"],
    operationsMin: 50
  }
}

const snapshot = (): Workload => {
  const { put, remove, round } = writing()
  return {
    name: "snapshots",
    settings: levels,
    setup: [[[put("a"), put("deleted")]], ...round(3), "flush", "idle", [[put("b"), remove("deleted")]]],
    steps: ["snapshot", [[put("a"), remove("b")]], "flush", "snapshot", "idle"],
    operationsMin: 40
  }
}

export const workloads: ReadonlyArray<Workload> = [
  logRotation(),
  flush(),
  compaction(),
  fullCompaction(),
  purge(),
  snapshot()
]

/** Leaves logs, tables and files of unfinished work for the next start to deal with. */
export const beforeRecovery = (): Workload => {
  const { put, remove, round } = writing()
  return {
    name: "a recovery",
    settings: small,
    setup: [[[put("a"), put("b"), put("deleted")]], "flush", ...round(6), [[remove("deleted")]], "idle"],
    steps: [[[put("a"), put("b")]], ...round(5), "flush", ...round(2)],
    operationsMin: 30
  }
}
