/**
 * The last distinct texts of one field, ASCII only. Cells repeat few node ids, incarnations and content types:
 * comparing bytes is cheaper than building a text, and cells in memory share the texts.
 *
 * A memory that changes no result.
 */
import * as Bytes from "../bytes.ts"

export interface RecentTexts {
  readonly texts: Array<string>
  /** Where the next one goes. */
  next: number
}

const textsMax = 16
const textBytesMax = 255

export const make = (): RecentTexts => ({ texts: [], next: 0 })

/** The text of these bytes; `undefined` when they are not UTF-8. */
export const at = (recent: RecentTexts, bytes: Uint8Array, start: number, end: number): string | undefined => {
  if (start === end) return ""
  for (let index = 0; index < recent.texts.length; index++) {
    const text = recent.texts[index]!
    if (isTextAt(text, bytes, start, end)) return text
  }
  const text = textAt(bytes, start, end)
  if (text !== undefined && text.length <= textBytesMax && isAscii(text)) {
    recent.texts[recent.next] = text
    recent.next = (recent.next + 1) % textsMax
  }
  return text
}

/** `undefined` for bytes that are not UTF-8: they would become another text's. */
export const textAt = (bytes: Uint8Array, start: number, end: number): string | undefined => {
  const text = Bytes.utf8(bytes, start, end)
  return text.includes("\ufffd") && !Bytes.isUtf8(bytes.subarray(start, end)) ? undefined : text
}

/** For ASCII texts, whose units are their bytes. */
const isTextAt = (text: string, bytes: Uint8Array, start: number, end: number): boolean => {
  const { length } = text
  if (length !== end - start) return false
  for (let index = 0; index < length; index++) {
    if (text.charCodeAt(index) !== bytes[start + index]) return false
  }
  return true
}

const isAscii = (text: string): boolean => Bytes.utf8Length(text) === text.length
