/**
 * The operations of `bytes` without Node: for a browser, and as the reference that tests compare Node's with.
 *
 * Pure.
 */

import { Result } from "effect"
import * as Base64 from "effect/encoding/Base64"

/** Ranges are given by `start` and `end`, with 0 <= start <= end <= length. */
export interface Implementation {
  /** Memory with any contents. Small pieces share a larger one. */
  readonly allocate: (sizeBytes: number) => Uint8Array<ArrayBuffer>
  /** Memory with any contents, not shared with other pieces. */
  readonly allocateOwn: (sizeBytes: number) => Uint8Array<ArrayBuffer>
  /** The same memory as the kind of array that `allocate` makes: a hot call site is faster when it sees one kind. */
  readonly view: (bytes: Uint8Array) => Uint8Array
  /** Copies a range of the source to the place `at` of the target. */
  readonly copy: (source: Uint8Array, target: Uint8Array, at: number, start: number, end: number) => void
  readonly concat: (parts: ReadonlyArray<Uint8Array>) => Uint8Array<ArrayBuffer>
  /** -1, 0 or 1. */
  readonly compare: (left: Uint8Array, right: Uint8Array) => number
  /** The first place of the wanted bytes, at least one; -1 for none. For a single byte use the array's own. */
  readonly indexOf: (bytes: Uint8Array, wanted: Uint8Array, from: number) => number
  readonly isUtf8: (bytes: Uint8Array) => boolean
  readonly utf8Length: (text: string) => number
  /** A lone surrogate becomes U+FFFD. */
  readonly fromUtf8: (text: string) => Uint8Array<ArrayBuffer>
  /** Bytes that are not UTF-8 become U+FFFD. */
  readonly utf8: (bytes: Uint8Array, start: number, end: number) => string
  /** Writes the characters that fit and returns how many bytes they took. */
  readonly writeUtf8: (target: Uint8Array, text: string, start: number) => number
  readonly latin1: (bytes: Uint8Array, start: number, end: number) => string
  /** The same for a text whose units are all below 0x100. */
  readonly writeLatin1: (target: Uint8Array, text: string, start: number) => number
  /** Undoes `toBase64`. Any other text gives some bytes: it never fails. */
  readonly fromBase64: (text: string) => Uint8Array<ArrayBuffer>
  readonly toBase64: (bytes: Uint8Array) => string
  /** zlib's, of bytes or of a text's UTF-8. */
  readonly crc32: (contents: Uint8Array | string) => number
}

const encoder = new TextEncoder()
/** A byte order mark is a character like any other. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
const strictDecoder = new TextDecoder("utf-8", { fatal: true })

const allocate = (sizeBytes: number) => new Uint8Array(sizeBytes)

const isUtf8 = (bytes: Uint8Array): boolean => {
  try {
    strictDecoder.decode(bytes)
    return true
  } catch {
    return false
  }
}

/** Where arguments on the stack are bounded. */
const unitsPerCall = 4096

const latin1 = (bytes: Uint8Array, start: number, end: number): string => {
  let text = ""
  for (let at = start; at < end; at += unitsPerCall) {
    text += String.fromCharCode(...bytes.subarray(at, Math.min(end, at + unitsPerCall)))
  }
  return text
}

const writeLatin1 = (target: Uint8Array, text: string, start: number): number => {
  const length = Math.min(text.length, target.length - start)
  for (let index = 0; index < length; index++) target[start + index] = text.charCodeAt(index)
  return length
}

const compare = (left: Uint8Array, right: Uint8Array): number => {
  const length = Math.min(left.length, right.length)
  for (let index = 0; index < length; index++) {
    if (left[index] !== right[index]) return left[index]! < right[index]! ? -1 : 1
  }
  return Math.sign(left.length - right.length)
}

const indexOf = (bytes: Uint8Array, wanted: Uint8Array, from: number): number => {
  const last = bytes.length - wanted.length
  for (let at = bytes.indexOf(wanted[0]!, from); at !== -1 && at <= last; at = bytes.indexOf(wanted[0]!, at + 1)) {
    let matched = 1
    while (matched < wanted.length && bytes[at + matched] === wanted[matched]) matched++
    if (matched === wanted.length) return at
  }
  return -1
}

const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array<ArrayBuffer> => {
  const whole = allocate(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** The remainder of each byte, by the reflected polynomial of zlib. */
const remainders = Int32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte
  for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0xedb88320 : 0)
  return remainder
})

/** Source: Sarwate, "Computation of Cyclic Redundancy Checks via Table Look-Up" (CACM 1988). */
const crc32 = (contents: Uint8Array | string): number => {
  const bytes = typeof contents === "string" ? encoder.encode(contents) : contents
  let remainder = -1
  for (let index = 0; index < bytes.length; index++) {
    remainder = (remainder >>> 8) ^ remainders[(remainder ^ bytes[index]!) & 0xff]!
  }
  return ~remainder >>> 0
}

export const portable: Implementation = {
  allocate,
  allocateOwn: allocate,
  view: (bytes) => bytes,
  copy: (source, target, at, start, end) => target.set(source.subarray(start, end), at),
  concat,
  compare,
  indexOf,
  isUtf8,
  utf8Length: (text) => encoder.encode(text).length,
  fromUtf8: (text) => encoder.encode(text),
  utf8: (bytes, start, end) => decoder.decode(bytes.subarray(start, end)),
  writeUtf8: (target, text, start) => encoder.encodeInto(text, target.subarray(start)).written,
  latin1,
  writeLatin1,
  fromBase64: (text) => new Uint8Array(Result.getOrElse(Base64.decode(text), () => allocate(0))),
  toBase64: (bytes) => Base64.encode(bytes),
  crc32
}
