/**
 * Finds cells in a block of lines without parsing the others.
 *
 * Pure. Relies on the order of members in `domain/CellLine.ts`: key, version, then `deleted` or the contents. The
 * block's checksum has been verified, so a line that is no cell is a defect of the writer, not of the disk.
 */
import type { Cell } from "../../domain/Cell.ts"
import * as CellLine from "../../domain/CellLine.ts"
import type { Key } from "../../domain/Key.ts"
import * as Version from "../../domain/Version.ts"

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
const comma = 0x2c
const dash = 0x2d
const digitZero = 0x30
const letterD = 0x64
const backslash = 0x5c
const keyStart = `{"key":"`.length
const beforeVersion = `,"version":"`

/**
 * How the line of a key begins. It cannot occur inside a value: there every quotation mark has a backslash before it.
 */
export const prefixOf = (key: string): string => `{"key":${JSON.stringify(key)}${beforeVersion}`

/** The line that begins with `prefix`, which is `prefixOf` of the key looked for. */
export const find = (block: Buffer, prefix: string): Line | undefined => {
  // Twice as fast with bytes as with a string.
  const bytes = Buffer.from(prefix)
  const start = block.indexOf(bytes)
  if (start === -1) return undefined
  const versionStart = start + bytes.length
  return { block, start, end: endOf(block, versionStart), versionStart }
}

/** The line that starts at `start`. */
export const at = (block: Buffer, start: number): Line => {
  const versionStart = closingQuote(block, start + keyStart) + 1 + beforeVersion.length
  return { block, start, end: endOf(block, versionStart), versionStart }
}

export const keyOf = ({ block, start, versionStart }: Line): Key => {
  const text = block.toString("utf8", start + keyStart - 1, versionStart - beforeVersion.length)
  return (text.includes("\\") ? JSON.parse(text) : text.slice(1, -1)) as Key
}

export const versionUnsafe = (line: Line): Version.Version => {
  const { block, versionStart } = line
  const version = Version.parse(block.toString("latin1", versionStart, block.indexOf(quote, versionStart)))
  return version ?? notACell(line)
}

/** The version's counter alone, which its text begins with. */
export const counterOf = ({ block, versionStart }: Line): number => {
  let counter = 0
  for (let index = versionStart; block[index] !== dash && index < block.length; index++) {
    counter = counter * 10 + (block[index]! - digitZero)
  }
  return counter
}

export const isTombstone = ({ block, versionStart }: Line): boolean => {
  const versionEnd = block.indexOf(quote, versionStart)
  return block[versionEnd + 1] === comma && block[versionEnd + 3] === letterD
}

export const cellUnsafe = (line: Line): Cell =>
  CellLine.decode(line.block.toString("utf8", line.start, line.end)) ?? notACell(line)

const notACell = ({ block, end, start }: Line): never => {
  throw new Error(`a table holds a line that is no cell: ${block.toString("utf8", start, Math.min(end, start + 100))}`)
}

const endOf = (block: Buffer, from: number): number => {
  const found = block.indexOf(lineFeed, from)
  return found === -1 ? block.length : found
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
