/**
 * Finds cells in a block of lines, and takes a line apart without parsing its JSON where its bytes allow.
 *
 * Pure. Relies on the order of members in `CellLine`: key, version, then `deleted` or the contents. The
 * block's checksum has been verified, so a line that is no cell is a defect of the writer, not of the disk.
 */
import * as Bytes from "../bytes.ts"
import type { Key } from "../Key.ts"
import type { NodeId } from "../NodeId.ts"
import type { Incarnation, Version } from "../Version.ts"
import type { Cell } from "./Cell.ts"
import * as CellLine from "./CellLine.ts"
import * as RecentTexts from "./RecentTexts.ts"

/** One line of a block, not decoded yet. */
export interface Line {
  readonly block: Uint8Array
  readonly start: number
  /** The place of its line feed. */
  readonly end: number
  /** Where the version's text begins. */
  readonly versionStart: number
}

const lineFeed = 0x0a
const quote = 0x22
const dash = 0x2d
const digitZero = 0x30
const letterE = 0x65
const letterV = 0x76
const backslash = 0x5c
const beforeVersion = `,"version":"`
const incarnationLength = 12
const dashLength = 1

/** From the start of a line to the first byte of its key. */
export const keyStart = `{"key":"`.length
/** From the quotation mark behind the key to the version. */
const toVersion = 1 + beforeVersion.length
/** From the quotation mark behind the version to the content type, from the one behind that to the contents. */
const toType = `","type":"`.length
const toValue = `","value":"`.length
const toBase64 = `","base64":"`.length
/** Ends a line of either. */
const closing = `"}`.length

/** The line of a key. Lines before it are passed over at their keys; it stops at the first that is greater. */
export const find = (block: Uint8Array, key: string): Line | undefined => {
  if (!CellLine.isPlainText(key)) return findEscaped(block, key)
  const { length } = key
  for (let start = 0; start < block.length;) {
    const at = start + keyStart
    let matched = 0
    while (matched < length && block[at + matched] === key.charCodeAt(matched)) matched++
    const byte = block[at + matched]!
    if (matched === length) {
      if (byte !== quote) return undefined
      const versionStart = at + length + toVersion
      return { block, start, end: endOf(block, versionStart), versionStart }
    }
    // A key that ends here, or continues with an escaped character, may be smaller or greater.
    if (byte !== quote && byte !== backslash && byte > key.charCodeAt(matched)) return undefined
    start = endOf(block, at + matched) + 1
  }
  return undefined
}

/**
 * The beginning of the key's line cannot occur inside a value, where a backslash precedes every quotation mark.
 */
const findEscaped = (block: Uint8Array, key: string): Line | undefined => {
  const prefix = Bytes.fromUtf8(`{"key":${JSON.stringify(key)}${beforeVersion}`)
  const start = Bytes.indexOf(block, prefix, 0)
  if (start === -1) return undefined
  const versionStart = start + prefix.length
  return { block, start, end: endOf(block, versionStart), versionStart }
}

/** The same line in memory of its own. */
export const detach = ({ block, end, start, versionStart }: Line): Line => {
  const bytes = Bytes.copyOf(block, start, end)
  return { block: bytes, start: 0, end: bytes.length, versionStart: versionStart - start }
}

/** The line that starts at `start`. */
export const at = (block: Uint8Array, start: number): Line => behindKey(block, start, keyEndOf(block, start))

/** The same when it is known where its key ends. */
export const behindKey = (block: Uint8Array, start: number, keyEnd: number): Line => {
  const versionStart = keyEnd + toVersion
  return { block, start, end: endOf(block, versionStart), versionStart }
}

/** The place of the quotation mark behind the key of the line that starts at `start`. */
export const keyEndOf = (block: Uint8Array, start: number): number => closingQuote(block, start + keyStart)

export const keyOf = ({ block, start, versionStart }: Line): Key =>
  keyBetween(block, start + keyStart, versionStart - toVersion)

/** The key from these bytes, as JSON writes them. */
export const keyBetween = (block: Uint8Array, start: number, end: number): Key =>
  isPlainBetween(block, start, end)
    ? plainKeyBetween(block, start, end)
    : JSON.parse(Bytes.utf8(block, start - 1, end + 1)) as Key

export const plainKeyBetween = (block: Uint8Array, start: number, end: number): Key =>
  Bytes.latin1(block, start, end) as Key

/** Whether the bytes are ASCII that JSON does not escape. */
export const isPlainBetween = (block: Uint8Array, start: number, end: number): boolean => {
  for (let index = start; index < end; index++) {
    const byte = block[index]!
    if (byte >= 0x80 || byte === backslash) return false
  }
  return true
}

export const versionUnsafe = (line: Line): Version => versionAt(line, versionEndOf(line))

const versionEndOf = ({ block, versionStart }: Line): number => closingQuote(block, versionStart)

const nodeIds = RecentTexts.make()
const incarnations = RecentTexts.make()

/** A node id may itself contain dashes; the rest of the version has a fixed length. */
const versionAt = (line: Line, end: number): Version => {
  const { block, versionStart } = line
  let at = versionStart
  let counter = 0
  for (; at < end && block[at] !== dash; at++) counter = counter * 10 + (block[at]! - digitZero)
  const incarnationStart = end - incarnationLength
  const nodeIdEnd = incarnationStart - dashLength
  if (at === versionStart || nodeIdEnd <= at + dashLength || block[nodeIdEnd] !== dash) return notACell(line)
  const nodeId = RecentTexts.at(nodeIds, block, at + dashLength, nodeIdEnd)
  const incarnation = RecentTexts.at(incarnations, block, incarnationStart, end)
  return { counter, nodeId: nodeId as NodeId, incarnation: incarnation as Incarnation }
}

/** The version's counter alone, which its text begins with. */
export const counterOf = ({ block, versionStart }: Line): number => counterAt(block, versionStart)

export const counterAt = (block: Uint8Array, versionStart: number): number => {
  let counter = 0
  for (let index = versionStart; block[index] !== dash && index < block.length; index++) {
    counter = counter * 10 + (block[index]! - digitZero)
  }
  return counter
}

export const isTombstone = ({ block, end }: Line): boolean => isTombstoneAt(block, end)

/** Only the lines of tombstones end in `true}`; the others close a text. */
export const isTombstoneAt = (block: Uint8Array, end: number): boolean => block[end - closing] === letterE

/**
 * The cell. If the block has the value's bytes unescaped, the value is a view of the block, which nobody may change, or
 * with `copied` a copy.
 */
export const cellUnsafe = (line: Line, copied = false): Cell => {
  const { block, end, versionStart } = line
  const key = keyOf(line)
  if (isTombstone(line)) return { key, version: versionUnsafe(line), value: undefined }
  let dashAt = versionStart
  let counter = 0
  for (; block[dashAt] !== dash && dashAt < end; dashAt++) counter = counter * 10 + (block[dashAt]! - digitZero)
  const middle = middleAt(line, dashAt)
  if (middle === undefined) return parsed(line)
  const valueStart = dashAt + middle.bytes.length
  const valueEnd = end - closing
  const bytes = middle.isText
    ? copied ? copyPlain(block, valueStart, valueEnd) : viewPlain(block, valueStart, valueEnd)
    : Bytes.fromBase64(Bytes.latin1(block, valueStart, valueEnd))
  if (bytes === undefined) return parsed(line)
  const { contentType, incarnation, nodeId } = middle
  return { key, version: { counter, nodeId, incarnation }, value: { bytes, contentType } }
}

/** `undefined` when JSON escaped something in it. */
const viewPlain = (block: Uint8Array, start: number, end: number): Uint8Array | undefined => {
  const bytes = block.subarray(start, end)
  return bytes.indexOf(backslash) === -1 ? bytes : undefined
}

/** Up to here a loop takes less time than two calls into C++. */
const loopBytesMax = 256

const copyPlain = (block: Uint8Array, start: number, end: number): Uint8Array | undefined => {
  const length = end - start
  if (length > loopBytesMax) {
    const bytes = Bytes.copyOf(block, start, end)
    return bytes.indexOf(backslash) === -1 ? bytes : undefined
  }
  const bytes = Bytes.allocate(length)
  for (let index = 0; index < length; index++) {
    const byte = block[start + index]!
    if (byte === backslash) return undefined
    bytes[index] = byte
  }
  return bytes
}

/** The bytes between the counter and the value, which are the same in most lines of a block. */
interface Middle {
  readonly bytes: Uint8Array
  readonly nodeId: NodeId
  readonly incarnation: Incarnation
  readonly contentType: string
  /** Whether the value is a text, or base64. */
  readonly isText: boolean
}

const middles: Array<Middle> = []
const middlesMax = 8
let nextMiddle = 0

/** `undefined` when it has something that JSON escapes. */
const middleAt = (line: Line, start: number): Middle | undefined => {
  for (let index = 0; index < middles.length; index++) {
    const known = middles[index]!
    if (startsWith(line.block, start, known.bytes)) return known
  }
  const found = parseMiddle(line, start)
  if (found !== undefined) {
    middles[nextMiddle] = found
    nextMiddle = (nextMiddle + 1) % middlesMax
  }
  return found
}

const startsWith = (block: Uint8Array, start: number, bytes: Uint8Array): boolean => {
  const { length } = bytes
  if (start + length > block.length) return false
  for (let index = 0; index < length; index++) {
    if (block[start + index] !== bytes[index]) return false
  }
  return true
}

const parseMiddle = (line: Line, start: number): Middle | undefined => {
  const { block } = line
  const versionEnd = versionEndOf(line)
  const { incarnation, nodeId } = versionAt(line, versionEnd)
  const typeStart = versionEnd + toType
  const typeEnd = closingQuote(block, typeStart)
  if (!isPlainBetween(block, typeStart, typeEnd)) return undefined
  const isText = block[typeEnd + `","`.length] === letterV
  const bytes = Bytes.copyOf(block, start, typeEnd + (isText ? toValue : toBase64))
  return { bytes, nodeId, incarnation, contentType: Bytes.latin1(block, typeStart, typeEnd), isText }
}

const parsed = (line: Line): Cell => CellLine.decode(Bytes.utf8(line.block, line.start, line.end)) ?? notACell(line)

const notACell = ({ block, end, start }: Line): never => {
  throw new Error(`a table holds a line that is no cell: ${Bytes.utf8(block, start, Math.min(end, start + 100))}`)
}

/** The end of the line that `from` is in. */
export const endOf = (block: Uint8Array, from: number): number => {
  const found = block.indexOf(lineFeed, from)
  return found === -1 ? block.length : found
}

/** The quotation mark that ends the string whose first byte is at `from`. */
const closingQuote = (block: Uint8Array, from: number): number => {
  for (let index = from; index < block.length; index++) {
    const byte = block[index]
    if (byte === quote) return index
    if (byte === backslash) index++
  }
  return block.length
}
