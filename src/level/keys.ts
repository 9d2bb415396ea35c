/**
 * Level's keys, which are arbitrary bytes, as the engine's, which are text: each byte becomes the character of the same
 * number (ISO 8859-1), so a key of ASCII stays as it is and `head`, `grep` and `jq` read it.
 *
 * Pure. The engine has no empty key, so the empty key becomes U+0000, and one more U+0000 goes before a key that begins
 * with one.
 *
 * Invariants
 * - `encode` keeps the order: bytes compare as the engine compares what they become, and no two become the same.
 * - `decode` undoes `encode`.
 */
import { isKey, type Key, keyBytesMax } from "../domain/Key.ts"

/** The shapes in which Level hands bytes over. */
export type Bytes = string | Uint8Array

/** How Level asks for bytes: as text, or as a `Buffer`, which is also what serves for a `Uint8Array`. */
export type Format = "utf8" | "buffer" | "view"

const escape = "\u0000"

/** Of any length: as the bound of a range, also a key that the engine could not hold is good. */
export const encode = (key: Bytes): string => {
  const text = typeof key === "string" ? ofText(key) : ofBytes(key)
  return text === "" || text.charCodeAt(0) === 0 ? escape + text : text
}

/** `undefined` when the key is too long for the engine, which therefore holds nothing at it. */
export const encodeKey = (key: Bytes): Key | undefined => {
  const text = encode(key)
  return isKey(text) ? text : undefined
}

export const tooLong = (key: Bytes): string =>
  `a key takes at most ${keyBytesMax} bytes, where a byte of 0x80 and above counts as two: ` +
  `this one would take ${Buffer.byteLength(encode(key), "utf8")}`

/** The first text behind `text`: what makes an excluded bound of an included one, and the other way round. */
export const successor = (text: string): string => text + escape

export const decode = (key: string, format: Format): string | Buffer => {
  const text = key.charCodeAt(0) === 0 ? key.slice(1) : key
  if (format !== "utf8") return Buffer.from(text, "latin1")
  return isAscii(text) ? text : Buffer.from(text, "latin1").toString("utf8")
}

const ofText = (key: string): string => isAscii(key) ? key : Buffer.from(key, "utf8").toString("latin1")

const ofBytes = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1")

const isAscii = (text: string): boolean => {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) > 0x7f) return false
  }
  return true
}
