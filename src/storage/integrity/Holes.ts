/**
 * Ranges of keys of which this store has lost cells to damage, remembered in the manifest until other replicas have
 * given them back. A look-up there is only answered from a cell that is newer than anything that was lost.
 *
 * Pure.
 */
import { compare } from "../../domain/Key.ts"
import { Corruption } from "../StorageError.ts"

export interface Hole {
  /** The first key, included, and the end, excluded. */
  readonly from: string
  readonly to: string
  /** No lost cell had a higher counter. */
  readonly counterMax: number
  /** The file that was damaged, and where and how. */
  readonly file: string
  readonly offsetBytes: number
  readonly reason: string
}

export const covers = (hole: Hole, key: string): boolean => compare(hole.from, key) <= 0 && compare(key, hole.to) < 0

/** The first key above `key`: what ends a range that includes it. */
export const after = (key: string): string => `${key}\u0000`

/** Whether the hole has a key in common with the keys from `from` up to and without `to`. */
export const meets = (hole: Hole, from: string, to: string | undefined): boolean =>
  compare(hole.to, from) > 0 && (to === undefined || compare(hole.from, to) < 0)

export const isSame = (left: Hole, right: Hole): boolean =>
  left.from === right.from && left.to === right.to && left.counterMax === right.counterMax &&
  left.file === right.file && left.offsetBytes === right.offsetBytes

export const corruption = ({ file, offsetBytes, reason }: Hole): Corruption =>
  new Corruption({
    path: file,
    offsetBytes,
    reason: `${reason}; cells were lost and are not yet given back by other replicas`
  })
