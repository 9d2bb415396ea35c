/**
 * Ranges of keys of which this store has lost cells to damage, remembered in the manifest until other replicas have
 * given them back. A look-up there is only answered from a cell that is newer than anything that was lost.
 *
 * Pure.
 */
import { Corruption } from "../../disk/StorageError.ts"
import { compare } from "../../domain/Key.ts"
import type { Table } from "../sstable/Table.ts"

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

/** Where the damage is and what is wrong there: a `Corruption`, or one that nobody has raised. */
type Damage = Pick<Corruption, "path" | "offsetBytes" | "reason">

/** Everything in the table is at stake. */
export const ofTable = (
  { counterMax, keyMax, keyMin }: Pick<Table, "counterMax" | "keyMax" | "keyMin">,
  { offsetBytes, path, reason }: Damage
): Hole => ({ from: keyMin, to: after(keyMax), counterMax, file: path, offsetBytes, reason })

/** The range of keys that a block may have held. */
export const ofBlock = (table: Table, block: number, damage: Damage): Hole => {
  const { firstKeys } = table.index
  const whole = ofTable(table, damage)
  return { ...whole, from: firstKeys[block]!, to: firstKeys[block + 1] ?? whole.to }
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

/** The damage that made the hole. */
export const damageOf = ({ file, offsetBytes, reason }: Hole): Corruption =>
  new Corruption({ path: file, offsetBytes, reason })

export const corruption = ({ file, offsetBytes, reason }: Hole): Corruption =>
  new Corruption({
    path: file,
    offsetBytes,
    reason: `${reason}; cells were lost and are not yet copied back from other replicas`
  })
