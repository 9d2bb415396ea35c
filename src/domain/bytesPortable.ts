/**
 * What `bytes` offers, in JavaScript alone: for a browser, and what the tests hold Node's implementation to.
 *
 * Pure.
 */

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
  /** Where the wanted bytes, at least one, stand first; -1 for nowhere. For a single byte use the array's own. */
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
  /** For a text whose units are all below 0x100. It never fails: it passes over what is no base64. */
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

const utf8Length = (text: string): number => {
  let length = text.length
  for (let index = 0; index < text.length; index++) {
    const point = text.codePointAt(index)!
    if (point > 0x7f) length++
    if (point > 0x7ff) length++
    // Two units make these four bytes.
    if (point > 0xffff) index++
  }
  return length
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

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

const toBase64 = (bytes: Uint8Array): string => {
  let text = ""
  for (let at = 0; at < bytes.length; at += 3) {
    const bits = bytes[at]! << 16 | (bytes[at + 1] ?? 0) << 8 | (bytes[at + 2] ?? 0)
    for (let shift = 18; shift >= 0; shift -= 6) text += alphabet[bits >>> shift & 63]
  }
  const missing = (3 - bytes.length % 3) % 3
  return text.slice(0, text.length - missing) + "=".repeat(missing)
}

const digits = new Map(Array.from(`${alphabet}-_`, (letter, index) => [letter, index < 64 ? index : index - 2]))

/** As Node does: it takes both alphabets, passes over letters of neither, and stops at the padding. */
const fromBase64 = (text: string): Uint8Array<ArrayBuffer> => {
  const bytes: Array<number> = []
  let bits = 0
  let bitCount = 0
  for (const letter of text) {
    if (letter === "=") break
    const digit = digits.get(letter)
    if (digit === undefined) continue
    bits = bits << 6 | digit
    bitCount += 6
    if (bitCount < 8) continue
    bitCount -= 8
    bytes.push(bits >>> bitCount & 0xff)
  }
  return Uint8Array.from(bytes)
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
  utf8Length,
  fromUtf8: (text) => encoder.encode(text),
  utf8: (bytes, start, end) => decoder.decode(bytes.subarray(start, end)),
  writeUtf8: (target, text, start) => encoder.encodeInto(text, target.subarray(start)).written,
  latin1,
  writeLatin1,
  fromBase64,
  toBase64,
  crc32
}
