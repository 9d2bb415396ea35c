/**
 * Describes damage and losses for people who look at a store offline.
 *
 * Pure.
 */
import * as Levels from "../Levels.ts"
import * as Holes from "../manifest/Holes.ts"
import type { ReadOnly, StoredLog } from "./ReadOnly.ts"

/** `keys from "a" to "b"`, with `b`; or `up to "b"`, without it. */
export const keysOf = ({ from, to }: Pick<Holes.Hole, "from" | "to">): string => {
  // A range that includes its last key ends at the next possible one.
  if (!to.endsWith("\u0000")) return `keys from ${JSON.stringify(from)} up to ${JSON.stringify(to)}`
  const last = to.slice(0, -1)
  return last === from
    ? `the key ${JSON.stringify(from)}`
    : `keys from ${JSON.stringify(from)} to ${JSON.stringify(last)}`
}

export const place = (hole: Holes.Hole): string => `${keysOf(hole)}, of ${hole.file}`

export const lostSentence = ({ file, offsetBytes, reason, ...range }: Holes.Hole): string =>
  `cells are lost of ${keysOf(range)}: ${file} at byte ${offsetBytes}: ${reason}`

/** `wal-000001.log is damaged at byte 3986, and records behind that are whole`. */
export const logSentence = ({ path, problem }: StoredLog): string | undefined =>
  problem === undefined ? undefined : problem.startsWith("it ") ? `${path} ${problem.slice(3)}` : `${path}: ${problem}`

export const logProblems = (logs: ReadonlyArray<StoredLog>): ReadonlyArray<string> =>
  logs.flatMap((log) => logSentence(log) ?? [])

/** Blocks that reads of this store have found to be damaged. */
export const met = ({ levels }: Pick<ReadOnly, "levels">): ReadonlyArray<Holes.Hole> =>
  Levels.all(levels).flatMap((table) =>
    Array.from(table.damaged)
      .sort(([left], [right]) => left - right)
      .map(([block, corruption]) => Holes.ofBlock(table, block, corruption))
  )

/** Everything that is known to be wrong by now. */
export const problems = (store: ReadOnly): ReadonlyArray<string> => [
  ...[...store.holes, ...met(store)].map(lostSentence),
  ...logProblems(store.logs)
]
