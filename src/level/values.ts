/**
 * Level's values as the engine's. The engine keeps what it is given and hands out what it keeps, and never expects it to
 * change, so bytes are copied both ways: callers may do with theirs what they like.
 *
 * Pure.
 */
import type { Value } from "../domain/cell/Cell.ts"
import type { Bytes, Format } from "./keys.ts"

/** Level knows no content types: this one promises nothing. */
const contentType = "application/octet-stream"

export const encode = (value: Bytes): Value => ({
  bytes: typeof value === "string" ? Buffer.from(value, "utf8") : Buffer.from(value),
  contentType
})

export const decode = ({ bytes }: Value, format: Format): string | Buffer =>
  format === "utf8"
    ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8")
    : Buffer.from(bytes)
