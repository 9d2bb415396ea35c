/**
 * For each operation, the newest version that it must know of.
 *
 * Two operations on a key share a replica when their quorums together exceed the replication factor; then the later one
 * must know the version of the earlier one. One pass over both in order, instead of all pairs.
 */
import * as Version from "../../domain/Version.ts"
import type { Run } from "../History.ts"
import type { Seen, Stamped } from "./KeyHistory.ts"
import { survivors } from "./survival.ts"

/**
 * Calls `visit` for each of `later` with the newest of `earlier` that ended before it began, shares a replica with it
 * and cannot have lost all its copies. `earlier` is sorted by end, `later` by beginning.
 */
export const forEachWithNewestBefore = <Later extends Seen>(
  run: Run,
  earlier: ReadonlyArray<Stamped>,
  later: ReadonlyArray<Later>,
  visit: (each: Later, newest: Stamped) => void
): void => {
  const { replicationFactor } = run
  const survives = survivors(run)
  /** At a place: the newest of those whose quorum is at least that place. */
  const newestByQuorum: Array<Stamped | undefined> = Array.from({ length: replicationFactor + 1 })
  let next = 0
  for (const each of later) {
    const { began, quorum } = each.operation
    for (; next < earlier.length && earlier[next]!.operation.ended < began; next++) {
      if (survives(earlier[next]!.operation)) raise(newestByQuorum, earlier[next]!)
    }
    const newest = newestByQuorum[Math.max(0, replicationFactor + 1 - quorum)]
    if (newest !== undefined) visit(each, newest)
  }
}

const raise = (newestByQuorum: Array<Stamped | undefined>, added: Stamped): void => {
  for (let quorum = Math.min(added.operation.quorum, newestByQuorum.length - 1); quorum >= 0; quorum--) {
    const known = newestByQuorum[quorum]
    // Those of smaller quorums are at least as new.
    if (known !== undefined && Version.compare(known.version, added.version) >= 0) return
    newestByQuorum[quorum] = added
  }
}
