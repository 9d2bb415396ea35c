/**
 * One record of an import or export as a line of JSON. Pure. Decoding undoes encoding, byte for byte.
 *
 *     {"key":"users/42","value":"Ada"}
 *     {"key":"logo","value":"iVBORw0K","encoding":"base64","contentType":"image/png"}
 */
import { Result, Schema } from "effect"
import { isUtf8 } from "node:buffer"
import type { Value } from "../domain/cell/Cell.ts"
import { Key } from "../domain/Key.ts"

export interface Record extends Value {
  readonly key: string
}

/** Content types of values that name none. */
export const textType = "text/plain; charset=utf-8"
export const binaryType = "application/octet-stream"

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
/** Text that a header can carry, such as `text/html; charset=utf-8`. */
const headerText = /^[\x20-\x7e]+$/

const isKey = Schema.is(Key)

/** The record, or the mistake in the line. */
export const decode = (line: string): Result.Result<Record, string> => {
  let parsed: unknown
  try {
    parsed = JSON.parse(line)
  } catch {
    return Result.fail("not JSON")
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return Result.fail("not a JSON object")
  const { contentType, encoding, key, value } = parsed as { readonly [name: string]: unknown }
  if (typeof key !== "string") return Result.fail("\"key\" must be a string")
  if (!isKey(key)) return Result.fail("\"key\" must have 1 to 1024 bytes of valid UTF-8")
  if (typeof value !== "string") return Result.fail("\"value\" must be a string")
  if (encoding !== undefined && encoding !== "base64" && encoding !== "utf8") {
    return Result.fail("\"encoding\" must be \"base64\" or \"utf8\"")
  }
  if (contentType !== undefined && (typeof contentType !== "string" || !headerText.test(contentType))) {
    return Result.fail("\"contentType\" must be a content type")
  }
  if (encoding === "base64") {
    if (!base64.test(value)) return Result.fail("\"value\" is not base64")
    return Result.succeed({ key, bytes: Buffer.from(value, "base64"), contentType: contentType ?? binaryType })
  }
  if (!value.isWellFormed()) return Result.fail("\"value\" is not valid Unicode; use \"encoding\":\"base64\"")
  return Result.succeed({ key, bytes: Buffer.from(value, "utf8"), contentType: contentType ?? textType })
}

/** The line without its line feed. Bytes that are text stay readable. */
export const encode = ({ bytes, contentType, key }: Record): string => {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const isText = isUtf8(buffer)
  const contents = isText
    ? `"value":${JSON.stringify(buffer.toString("utf8"))}`
    : `"value":"${buffer.toString("base64")}","encoding":"base64"`
  const type = contentType === (isText ? textType : binaryType) ? "" : `,"contentType":${JSON.stringify(contentType)}`
  return `{"key":${JSON.stringify(key)},${contents}${type}}`
}
