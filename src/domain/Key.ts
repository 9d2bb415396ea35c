/**
 * A key: 1 to 1,024 bytes of UTF-8, compared byte by byte. `/kv/users/42` is the key `users/42`.
 *
 * Pure.
 */
import { Schema } from "effect"
import * as Bytes from "./bytes.ts"

/** Long enough for a path, short enough that an index of first keys stays in memory. */
export const keyBytesMax = 1024

const hasValidLength = (text: string) => {
  const bytes = Bytes.utf8Length(text)
  return bytes >= 1 && bytes <= keyBytesMax
}

/** Well-formed text only: a lone surrogate has no UTF-8 bytes, so it could not be read back. */
export const Key = Schema.String.check(
  Schema.makeFilter((text: string) => text.isWellFormed() || "a key must be valid Unicode"),
  Schema.makeFilter((text: string) => hasValidLength(text) || `a key must have 1 to ${keyBytesMax} bytes of UTF-8`)
).pipe(Schema.brand("Key"))
export type Key = typeof Key.Type

/** The same check as a plain call, for lines and messages of which each request decodes some. */
export const isKey = (text: string): text is Key =>
  text.length > 0 && (text.length * unitBytesMax <= keyBytesMax || hasValidLength(text)) && text.isWellFormed()

/** Of UTF-8 for one UTF-16 unit. */
const unitBytesMax = 3

const surrogateFirst = 0xd800
const surrogateLast = 0xdfff

/** JavaScript's `<` and `compare` order texts without surrogates alike. */
export const hasSurrogates = (text: string): boolean => surrogate.test(text)

const surrogate = /[\ud800-\udfff]/

/** JavaScript's `<` and `compare` order it and any other text alike: no unit is a surrogate or above. */
export const isBasic = (text: string): boolean => !aboveBasic.test(text)

const aboveBasic = /[\ud800-\uffff]/

/**
 * Orders keys by their UTF-8 bytes, which is the order of their code points.
 *
 * JavaScript's `<` compares UTF-16 units and so puts U+10000 and above before U+E000 to U+FFFF; only there the
 * two orders differ.
 */
export const compare = (left: string, right: string): number => {
  const length = Math.min(left.length, right.length)
  for (let index = 0; index < length; index++) {
    const leftUnit = left.charCodeAt(index)
    const rightUnit = right.charCodeAt(index)
    if (leftUnit === rightUnit) continue
    const leftIsSurrogate = leftUnit >= surrogateFirst && leftUnit <= surrogateLast
    const rightIsSurrogate = rightUnit >= surrogateFirst && rightUnit <= surrogateLast
    if (leftIsSurrogate === rightIsSurrogate) return leftUnit - rightUnit
    if (leftIsSurrogate) return rightUnit > surrogateLast ? 1 : leftUnit - rightUnit
    return leftUnit > surrogateLast ? -1 : leftUnit - rightUnit
  }
  return left.length - right.length
}
