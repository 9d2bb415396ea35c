/**
 * The version number that every file of JSON begins with: `"format"` is a member of its first line, whatever else a
 * later version changes.
 *
 * Pure.
 */
import { Option, Schema } from "effect"
import { Corruption, UnknownFormat } from "./StorageError.ts"

const decodeLine = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({ format: Schema.Union([Schema.Int, Schema.String]) }))
)

/** The format that the line names; `undefined` when it names none. */
export const formatOf = (line: string): string | undefined =>
  Option.getOrUndefined(Option.map(decodeLine(line), ({ format }) => String(format)))

/** Why a file with this first line cannot be used: another version wrote it, or else it is damaged. */
export const refusal = (
  path: string,
  line: string,
  known: ReadonlyArray<string>,
  reason: string
): Corruption | UnknownFormat => {
  const format = formatOf(line)
  return format === undefined || known.includes(format)
    ? new Corruption({ path, offsetBytes: 0, reason })
    : new UnknownFormat({ path, format, known: known.join(" and ") })
}
