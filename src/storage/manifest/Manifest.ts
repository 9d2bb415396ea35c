/**
 * Which files are the store: changed in one step, so that a crash leaves the old set or the new. What is not in it is
 * garbage of an unfinished flush or compaction.
 *
 * The lines are described in docs/formats/manifest.md.
 */
import { Effect, Schema } from "effect"
import { crc32 } from "node:zlib"
import { type Disk, writeAtomically } from "../Disk.ts"
import { Corruption } from "../StorageError.ts"

const Contents = Schema.Struct({
  format: Schema.Literal(1),
  /** Tables by number, oldest first. */
  tables: Schema.Array(Schema.Int),
  /** Logs with a lower number are already in tables. */
  firstLog: Schema.Int
})
export type Manifest = typeof Contents.Type

const ContentsJson = Schema.fromJsonString(Contents)

const fileName = "MANIFEST"

export const write = (disk: Disk["Service"], directory: string, manifest: Manifest) => {
  const { firstLog, format, tables } = manifest
  const body = `${JSON.stringify({ format, tables, firstLog })}\n`
  return writeAtomically(disk, `${directory}/${fileName}`, Buffer.from(`${body}{"crc32":${crc32(body)}}\n`))
}

/** `undefined` when the directory has none, because nothing was ever stored in it. */
export const read = Effect.fnUntraced(function*(disk: Disk["Service"], directory: string) {
  const path = `${directory}/${fileName}`
  const bytes = yield* disk.readFile(path)
  if (bytes === undefined) return undefined
  const bodyBytes = bytes.indexOf("\n") + 1
  const body = bytes.toString("utf8", 0, bodyBytes)
  if (bytes.toString("utf8", bodyBytes) !== `{"crc32":${crc32(body)}}\n`) {
    return yield* new Corruption({ path, offsetBytes: 0, reason: "the checksum does not match" })
  }
  return yield* Schema.decodeEffect(ContentsJson)(body).pipe(
    Effect.mapError((error) => new Corruption({ path, offsetBytes: 0, reason: error.message }))
  )
})
