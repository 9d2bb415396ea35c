/**
 * A cell: the value or the tombstone that one key has at one version. Everything that moves cells between
 * replicas, logs and tables is `merge`.
 *
 * Pure.
 *
 * Invariants
 * - `merge` is commutative, associative and idempotent, so replicas that saw the same cells in any order agree.
 */
import { Order } from "effect"
import * as Bytes from "../bytes.ts"
import type { Key } from "../Key.ts"
import * as Version from "../Version.ts"

/** Opaque bytes and the content type that came with them. The bytes are never changed in place. */
export interface Value {
  readonly bytes: Uint8Array
  readonly contentType: string
}

/** Longer content types are refused. */
export const contentTypeBytesMax = 255

export interface Cell {
  readonly key: Key
  readonly version: Version.Version
  /** `undefined` marks a tombstone: a delete is a write too. */
  readonly value: Value | undefined
}

export const isTombstone = (cell: Cell): boolean => cell.value === undefined

/** The newer of two cells of the same key. */
export const merge = (left: Cell, right: Cell): Cell => (compare(left, right) >= 0 ? left : right)

/**
 * Orders cells of one key by version. Equal versions with different contents cannot happen unless a node broke the
 * rules; they still resolve the same way everywhere: a tombstone wins, then the greater bytes.
 */
export const compare = (left: Cell, right: Cell): number => {
  const byVersion = Version.compare(left.version, right.version)
  return byVersion !== 0 ? byVersion : compareContents(left, right)
}

const compareContents = (left: Cell, right: Cell): number => {
  if (left.value === right.value) return 0
  if (left.value === undefined) return 1
  if (right.value === undefined) return -1
  const byBytes = Bytes.compare(left.value.bytes, right.value.bytes)
  return byBytes !== 0 ? byBytes : Order.String(left.value.contentType, right.value.contentType)
}
