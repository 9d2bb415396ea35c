/**
 * A cell as one line of JSON: the form that SSTables, hints and streams between nodes share, readable with `jq`.
 *
 * Pure.
 *
 *     {"key":"users/42","version":"51-node1-9f86d081884c","type":"text/plain","value":"Ada"}
 *     {"key":"logo","version":"52-node1-9f86d081884c","type":"image/png","base64":"iVBORw0K"}
 *     {"key":"users/7","version":"53-node2-0b7c11d2aa90","deleted":true}
 *
 * The members stand in this order, so a reader can find a key without parsing the whole line.
 */
import * as Bytes from "../bytes.ts"
import { isKey } from "../Key.ts"
import * as Version from "../Version.ts"
import type { Cell } from "./Cell.ts"

/** The line without its line feed. */
export const encode = (cell: Cell): string => {
  const head = `{"key":${JSON.stringify(cell.key)},"version":"${Version.format(cell.version)}"`
  if (cell.value === undefined) return `${head},"deleted":true}`
  const { bytes, contentType } = cell.value
  const contents = Bytes.isUtf8(bytes)
    ? `"value":${JSON.stringify(Bytes.utf8(bytes))}`
    : `"base64":"${Bytes.toBase64(bytes)}"`
  return `${head},"type":${JSON.stringify(contentType)},${contents}}`
}

/** Memory that lines are written to, by its bytes and by its words. */
export interface Target {
  readonly bytes: Uint8Array
  readonly words: Int32Array
}

export const makeTarget = (sizeBytes: number): Target => {
  const words = new Int32Array(Math.ceil(sizeBytes / wordBytes))
  return { bytes: Bytes.view(new Uint8Array(words.buffer)), words }
}

/** At least the bytes that `writePlain` takes at `start`. */
export const plainBytesMax = ({ key, value, version }: Cell): number =>
  plainFixedBytesMax + key.length + version.nodeId.length +
  (value === undefined ? 0 : value.contentType.length + value.bytes.length)

/** More than the members' names, the counter and the incarnation take. */
const plainFixedBytesMax = 128

/**
 * Writes the line of `encode` if all of it is ASCII that JSON does not escape, as most is: in half the time, since the
 * value's bytes never become a text. Returns where the line ends, or `undefined` when the cell is not of that kind.
 */
export const writePlain = ({ key, value, version }: Cell, target: Target, start: number): number | undefined => {
  if (value === undefined || !isPlainText(key) || !isPlainText(value.contentType)) return undefined
  const { bytes } = target
  const head = `{"key":"${key}","version":"${Version.format(version)}","type":"${value.contentType}","value":"`
  const valueStart = start + Bytes.writeLatin1(bytes, head, start)
  const valueEnd = valueStart + value.bytes.length
  bytes.set(value.bytes, valueStart)
  if (!isPlain(target, valueStart, valueEnd)) return undefined
  bytes[valueEnd] = quote
  bytes[valueEnd + 1] = closingBrace
  return valueEnd + 2
}

const wordBytes = 4
const quote = 0x22
const backslash = 0x5c
const closingBrace = 0x7d

const isPlainUnit = (unit: number): boolean => unit >= 0x20 && unit < 0x80 && unit !== quote && unit !== backslash

/** Whether JSON writes the text as it is, in one byte a unit. */
export const isPlainText = (text: string): boolean => {
  for (let index = 0; index < text.length; index++) {
    if (!isPlainUnit(text.charCodeAt(index))) return false
  }
  return true
}

/** Whole words at a time; the bytes before the first word and behind the last one by one. */
const isPlain = ({ bytes, words }: Target, start: number, end: number): boolean => {
  const wordStart = Math.min(Math.ceil(start / wordBytes), Math.floor(end / wordBytes))
  const wordEnd = Math.floor(end / wordBytes)
  return arePlainWords(words, wordStart, wordEnd) &&
    arePlainBytes(bytes, start, Math.max(start, wordStart * wordBytes)) &&
    arePlainBytes(bytes, Math.max(start, wordEnd * wordBytes), end)
}

const arePlainBytes = (bytes: Uint8Array, start: number, end: number): boolean => {
  for (let index = start; index < end; index++) {
    if (!isPlainUnit(bytes[index]!)) return false
  }
  return true
}

/**
 * The high bit of a byte marks it: it is set where the byte is not ASCII, `x - 0x20` sets it where byte x is below a
 * space, and `(x ^ c) - 1` sets it exactly where byte x equals c.
 *
 * Source: Henry Warren, "Hacker's Delight" (2002), section 6-1.
 */
const arePlainWords = (words: Int32Array, start: number, end: number): boolean => {
  let marks = 0
  for (let index = start; index < end; index++) {
    const word = words[index]!
    marks |= word | (word - 0x20202020) | ((word ^ 0x22222222) - 0x01010101) | ((word ^ 0x5c5c5c5c) - 0x01010101)
  }
  return (marks & 0x80808080) === 0
}

/** Undoes `encode`; `undefined` when the line is not a cell. */
export const decode = (line: string): Cell | undefined => {
  const parsed = parseObject(line)
  if (parsed === undefined || typeof parsed["key"] !== "string" || typeof parsed["version"] !== "string") {
    return undefined
  }
  const version = Version.parse(parsed["version"])
  const key = parsed["key"]
  if (version === undefined || !isKey(key)) return undefined
  if (parsed["deleted"] === true) return { key, version, value: undefined }
  const bytes = typeof parsed["value"] === "string"
    ? Bytes.fromUtf8(parsed["value"])
    : typeof parsed["base64"] === "string"
    ? Bytes.fromBase64(parsed["base64"])
    : undefined
  if (bytes === undefined || typeof parsed["type"] !== "string") return undefined
  return { key, version, value: { bytes, contentType: parsed["type"] } }
}

const parseObject = (line: string): Record<string, unknown> | undefined => {
  try {
    const parsed: unknown = JSON.parse(line)
    return typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
