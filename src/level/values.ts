/**
 * Converts between Level's values and the engine's. Both ways copy the bytes: callers may change theirs, and the engine
 * must not see that. Pure.
 */
import type { Value } from "../domain/cell/Cell.ts"
import type { Bytes, Format } from "./keys.ts"

/** Level has no content types. */
const contentType = "application/octet-stream"

export const encode = (value: Bytes): Value => ({
  bytes: typeof value === "string" ? Buffer.from(value, "utf8") : Buffer.from(value),
  contentType
})

export const decode = ({ bytes }: Value, format: Format): string | Buffer =>
  format === "utf8"
    ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8")
    : Buffer.from(bytes)
