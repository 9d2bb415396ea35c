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
import { isUtf8 } from "node:buffer"
import type { Cell } from "./Cell.ts"
import { isKey } from "./Key.ts"
import * as Version from "./Version.ts"

/** The line without its line feed. */
export const encode = (cell: Cell): string => {
  const head = `{"key":${JSON.stringify(cell.key)},"version":"${Version.format(cell.version)}"`
  if (cell.value === undefined) return `${head},"deleted":true}`
  const { bytes, contentType } = cell.value
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const contents = isUtf8(buffer)
    ? `"value":${JSON.stringify(buffer.toString("utf8"))}`
    : `"base64":"${buffer.toString("base64")}"`
  return `${head},"type":${JSON.stringify(contentType)},${contents}}`
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
    ? Buffer.from(parsed["value"], "utf8")
    : typeof parsed["base64"] === "string"
    ? Buffer.from(parsed["base64"], "base64")
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
