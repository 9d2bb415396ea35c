/**
 * Cells as bytes: the compact form that log records and batches between nodes share.
 *
 * Pure, but for a memory of recent texts that changes no result. The bytes are described in docs/formats/wal.md. Made
 * by hand because every write passes here once for each log and twice for each replica on another node: a
 * schema-derived codec took 2.2 times as long (see `peer/PeerCodec`).
 *
 * Invariants
 * - `decode` never throws, never reads behind the source and never allocates more than the source holds.
 * - It checks the layout. The caller checks whether key, version and content type are sound.
 */
import * as Bytes from "../bytes.ts"
import type { Key } from "../Key.ts"
import type { NodeId } from "../NodeId.ts"
import type { Incarnation } from "../Version.ts"
import type { Cell } from "./Cell.ts"
import * as RecentTexts from "./RecentTexts.ts"

/** Flags, node id length, key length, content type length, value length, counter. */
const headBytes = 1 + 1 + 2 + 4 + 4 + 8
const incarnationBytes = 12
const tombstoneFlag = 1

/** At least the bytes that `encode` will write: a UTF-16 unit takes three bytes of UTF-8 at most. */
export const bytesMax = ({ key, value, version }: Cell): number =>
  headBytes + incarnationBytes + version.nodeId.length + key.length * 3 +
  (value === undefined ? 0 : value.contentType.length * 3 + value.bytes.length)

/** Writes the cell at `start`, where `bytesMax` bytes must be free, and returns where it ends. */
export const encode = (cell: Cell, target: Uint8Array, start: number): number => {
  const { key, value, version } = cell
  const { incarnation, nodeId } = version
  let end = start + headBytes
  end = writeText(target, incarnation, end)
  end = writeText(target, nodeId, end)
  const keyStart = end
  end = writeText(target, key, end)
  const typeStart = end
  let valueLength = 0
  if (value !== undefined) {
    end = writeText(target, value.contentType, end)
    valueLength = value.bytes.length
  }
  target[start] = value === undefined ? tombstoneFlag : 0
  target[start + 1] = nodeId.length
  Bytes.putUint16(target, typeStart - keyStart, start + 2)
  Bytes.putUint32(target, end - typeStart, start + 4)
  Bytes.putUint32(target, valueLength, start + 8)
  Bytes.putDouble(target, version.counter, start + 12)
  if (value !== undefined) {
    target.set(value.bytes, end)
    end += valueLength
  }
  return end
}

/** Bytes that are read from front to back. */
export interface Source {
  readonly bytes: Uint8Array
  /** Where the next cell starts. */
  at: number
  /** A value's bytes: a view of the source, or a copy where the value outlives it. */
  readonly valueOf: (source: Uint8Array, start: number, end: number) => Uint8Array
}

/** The next cell, or `undefined` when the bytes are no cell. */
export const decode = (source: Source): Cell | undefined => {
  const { at: start, bytes } = source
  if (start + headBytes > bytes.length) return undefined
  const incarnation = start + headBytes
  const nodeId = incarnation + incarnationBytes
  const key = nodeId + bytes[start + 1]!
  const type = key + Bytes.uint16At(bytes, start + 2)
  const value = type + Bytes.uint32At(bytes, start + 4)
  const end = value + Bytes.uint32At(bytes, start + 8)
  const flags = bytes[start]!
  if (end > bytes.length || flags > tombstoneFlag || (flags === tombstoneFlag && end > type)) return undefined
  const keyText = RecentTexts.textAt(bytes, key, type)
  const incarnationText = RecentTexts.at(incarnations, bytes, incarnation, nodeId)
  const nodeIdText = RecentTexts.at(nodeIds, bytes, nodeId, key)
  const contentType = RecentTexts.at(contentTypes, bytes, type, value)
  if (
    keyText === undefined || incarnationText === undefined || nodeIdText === undefined || contentType === undefined
  ) return undefined
  source.at = end
  return {
    key: keyText as Key,
    version: {
      counter: integerOf(Bytes.doubleAt(bytes, start + 12)),
      nodeId: nodeIdText as NodeId,
      incarnation: incarnationText as Incarnation
    },
    value: flags === tombstoneFlag ? undefined : { bytes: source.valueOf(bytes, value, end), contentType }
  }
}

/** All cells of a record, or `undefined` when the bytes are not cells. The values share the record's memory. */
export const decodeAll = (bytes: Uint8Array): ReadonlyArray<Cell> | undefined => {
  const source: Source = { bytes, at: 0, valueOf: viewOf }
  const cells: Array<Cell> = []
  while (source.at < bytes.length) {
    const cell = decode(source)
    if (cell === undefined) return undefined
    cells.push(cell)
  }
  return cells
}

/** A text behind its length, which takes two bytes. */
export const encodeText = (text: string, target: Uint8Array, start: number): number => {
  const end = writeText(target, text, start + 2)
  Bytes.putUint16(target, end - start - 2, start)
  return end
}

/** At least the bytes that `encodeText` will write. */
export const textBytesMax = (text: string): number => 2 + text.length * 3

/** Undoes `encodeText`; `undefined` when the bytes are no text. */
export const decodeText = (source: Source): string | undefined => {
  const { at, bytes } = source
  if (at + 2 > bytes.length) return undefined
  const start = at + 2
  const end = start + Bytes.uint16At(bytes, at)
  if (end > bytes.length) return undefined
  source.at = end
  return RecentTexts.textAt(bytes, start, end)
}

const viewOf = (source: Uint8Array, start: number, end: number): Uint8Array => source.subarray(start, end)

/** A number read as a double takes an object of its own in each version; a small integer does not. */
const integerOf = (double: number): number => {
  const integer = double | 0
  return integer === double ? integer : double
}

const nodeIds = RecentTexts.make()
const incarnations = RecentTexts.make()
const contentTypes = RecentTexts.make()

/** Short ASCII text is written faster by hand than by a call into C++. */
const writeText = (target: Uint8Array, text: string, start: number): number => {
  const { length } = text
  if (length > 48) return start + Bytes.writeUtf8(target, text, start)
  for (let index = 0; index < length; index++) {
    const unit = text.charCodeAt(index)
    if (unit > 0x7f) return start + Bytes.writeUtf8(target, text, start)
    target[start + index] = unit
  }
  return start + length
}
