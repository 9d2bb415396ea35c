/**
 * Encodes Level's keys, which are bytes, as the engine's, which are text: each byte becomes the character of the same
 * number (ISO 8859-1), so a key of ASCII stays readable with `head`, `grep` and `jq`.
 *
 * Pure. The engine has no empty key, so the empty key becomes U+0000, and a key that begins with U+0000 gets another.
 *
 * Invariants
 * - `encode` keeps the order of the bytes and is injective.
 * - `decode` undoes `encode`.
 */
import { isKey, type Key, keyBytesMax } from "../domain/Key.ts"

export type Bytes = string | Uint8Array

/** As text or as a `Buffer`, which serves for a `view`, too. */
export type Format = "utf8" | "buffer" | "view"

const escape = "\u0000"

/** Of any length: a bound may be longer than a key. */
export const encode = (key: Bytes): string => {
  const text = typeof key === "string" ? ofText(key) : ofBytes(key)
  return text === "" || text.charCodeAt(0) === 0 ? escape + text : text
}

/** `undefined` if the key is too long for the engine, which then has no cell for it. */
export const encodeKey = (key: Bytes): Key | undefined => {
  const text = encode(key)
  return isKey(text) ? text : undefined
}

export const tooLong = (key: Bytes): string =>
  `a key takes at most ${keyBytesMax} bytes, where a byte of 0x80 and above counts as two: ` +
  `this one would take ${Buffer.byteLength(encode(key), "utf8")}`

/** The next text in order: turns an exclusive bound into an inclusive one and back. */
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
