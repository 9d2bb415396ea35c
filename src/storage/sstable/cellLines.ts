/**
 * Finds cells in a block of lines, and takes a line apart without parsing its JSON where its bytes allow.
 *
 * Pure. Relies on the order of members in `domain/CellLine.ts`: key, version, then `deleted` or the contents. The
 * block's checksum has been verified, so a line that is no cell is a defect of the writer, not of the disk.
 */
import type { Cell } from "../../domain/Cell.ts"
import * as CellLine from "../../domain/CellLine.ts"
import type { Key } from "../../domain/Key.ts"
import type { NodeId } from "../../domain/NodeId.ts"
import * as RecentTexts from "../../domain/RecentTexts.ts"
import type { Incarnation, Version } from "../../domain/Version.ts"

/** One line of a block, not decoded yet. */
export interface Line {
  readonly block: Buffer
  readonly start: number
  /** Where its line feed stands. */
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

/** Where the key's first byte stands, from the start of its line. */
export const keyStart = `{"key":"`.length
/** From the quotation mark behind the key to the version. */
const toVersion = 1 + beforeVersion.length
/** From the quotation mark behind the version to the content type, from the one behind that to the contents. */
const toType = `","type":"`.length
const toValue = `","value":"`.length
const toBase64 = `","base64":"`.length
/** What ends a line of either. */
const closing = `"}`.length

/** The line of a key. Lines before it are passed over at their keys; it stops at the first that is greater. */
export const find = (block: Buffer, key: string): Line | undefined => {
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
    // A line's key that ends here, or goes on with an escaped character, tells nothing but that it is another one.
    if (byte !== quote && byte !== backslash && byte > key.charCodeAt(matched)) return undefined
    start = endOf(block, at + matched) + 1
  }
  return undefined
}

/**
 * How the line of the key begins cannot occur inside a value: there every quotation mark has a backslash before it.
 */
const findEscaped = (block: Buffer, key: string): Line | undefined => {
  const prefix = Buffer.from(`{"key":${JSON.stringify(key)}${beforeVersion}`)
  const start = block.indexOf(prefix)
  if (start === -1) return undefined
  const versionStart = start + prefix.length
  return { block, start, end: endOf(block, versionStart), versionStart }
}

/** The same line in memory of its own. */
export const detach = ({ block, end, start, versionStart }: Line): Line => {
  const bytes = Buffer.allocUnsafe(end - start)
  block.copy(bytes, 0, start, end)
  return { block: bytes, start: 0, end: bytes.length, versionStart: versionStart - start }
}

/** The line that starts at `start`. */
export const at = (block: Buffer, start: number): Line => behindKey(block, start, keyEndOf(block, start))

/** The same when it is known where its key ends. */
export const behindKey = (block: Buffer, start: number, keyEnd: number): Line => {
  const versionStart = keyEnd + toVersion
  return { block, start, end: endOf(block, versionStart), versionStart }
}

/** Where the quotation mark behind the key stands, of the line that starts at `start`. */
export const keyEndOf = (block: Buffer, start: number): number => closingQuote(block, start + keyStart)

export const keyOf = ({ block, start, versionStart }: Line): Key =>
  keyBetween(block, start + keyStart, versionStart - toVersion)

/** The key whose bytes stand there, as JSON writes them. */
export const keyBetween = (block: Buffer, start: number, end: number): Key =>
  isPlainBetween(block, start, end)
    ? block.toString("latin1", start, end) as Key
    : JSON.parse(block.toString("utf8", start - 1, end + 1)) as Key

/** Whether the bytes are ASCII that JSON does not escape. */
export const isPlainBetween = (block: Buffer, start: number, end: number): boolean => {
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
const contentTypes = RecentTexts.make()

/** A node id may itself contain dashes; what follows it has a fixed length. */
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

export const counterAt = (block: Buffer, versionStart: number): number => {
  let counter = 0
  for (let index = versionStart; block[index] !== dash && index < block.length; index++) {
    counter = counter * 10 + (block[index]! - digitZero)
  }
  return counter
}

export const isTombstone = ({ block, end }: Line): boolean => isTombstoneAt(block, end)

/** Of all lines, those of tombstones alone end in `true}`: the others close a text. */
export const isTombstoneAt = (block: Buffer, end: number): boolean => block[end - closing] === letterE

const same = (bytes: Buffer): Buffer => bytes

/**
 * The cell. Where its value's bytes stand in the block as they are, `valueOf` says what becomes of them: by default the
 * value is a view of the block, which nobody may change.
 */
export const cellUnsafe = (line: Line, valueOf = same): Cell => {
  const { block, end } = line
  const versionEnd = versionEndOf(line)
  const version = versionAt(line, versionEnd)
  const key = keyOf(line)
  if (isTombstone(line)) return { key, version, value: undefined }
  const typeStart = versionEnd + toType
  const typeEnd = closingQuote(block, typeStart)
  const isText = block[typeEnd + `","`.length] === letterV
  const bytes = isText
    ? block.subarray(typeEnd + toValue, end - closing)
    : Buffer.from(block.toString("latin1", typeEnd + toBase64, end - closing), "base64")
  const contentType = hasEscape(block, typeStart, typeEnd)
    ? undefined
    : RecentTexts.at(contentTypes, block, typeStart, typeEnd)
  if (contentType === undefined || (isText && bytes.indexOf(backslash) !== -1)) return parsed(line)
  return { key, version, value: { bytes: isText ? valueOf(bytes) : bytes, contentType } }
}

const parsed = (line: Line): Cell =>
  CellLine.decode(line.block.toString("utf8", line.start, line.end)) ?? notACell(line)

const notACell = ({ block, end, start }: Line): never => {
  throw new Error(`a table holds a line that is no cell: ${block.toString("utf8", start, Math.min(end, start + 100))}`)
}

/** Where the line ends that goes on at `from`. */
export const endOf = (block: Buffer, from: number): number => {
  const found = block.indexOf(lineFeed, from)
  return found === -1 ? block.length : found
}

const hasEscape = (block: Buffer, start: number, end: number): boolean => {
  for (let index = start; index < end; index++) {
    if (block[index] === backslash) return true
  }
  return false
}

/** The quotation mark that ends the string whose first byte is at `from`. */
const closingQuote = (block: Buffer, from: number): number => {
  for (let index = from; index < block.length; index++) {
    const byte = block[index]
    if (byte === quote) return index
    if (byte === backslash) index++
  }
  return block.length
}
