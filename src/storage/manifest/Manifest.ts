/**
 * The list of the store's files. It changes in one step, so a crash leaves the old list or the new one. A file that is
 * not in it is garbage of an unfinished flush or compaction.
 *
 * The lines are described in docs/formats/manifest.md.
 */
import { Effect, Schema } from "effect"
import { type Disk, writeAtomically } from "../../disk/Disk.ts"
import * as jsonFormat from "../../disk/jsonFormat.ts"
import { Corruption } from "../../disk/StorageError.ts"
import * as Bytes from "../../domain/bytes.ts"
import { Key } from "../../domain/Key.ts"
import * as assertions from "../assertions.ts"
import { levelCount } from "../Levels.ts"
import type { TableProperties } from "../sstable/TableIndex.ts"
import type { Hole } from "./Holes.ts"

/** A live table: what its index says as well, so that the loss of the index tells what was lost. */
export interface TableEntry extends TableProperties {
  readonly id: number
  readonly level: number
}

export interface Manifest {
  readonly tables: ReadonlyArray<TableEntry>
  /** Logs that hold cells which are in no table, oldest first. */
  readonly logs: ReadonlyArray<number>
  readonly holes: ReadonlyArray<Hole>
  /** No cell was ever stored with a higher counter, but in the logs. */
  readonly counterMax: number
}

/** The only one that is read and written. */
export const format = 2

const fileName = "MANIFEST"

export const pathOf = (directory: string): string => `${directory}/${fileName}`

export const empty: Manifest = { tables: [], logs: [], holes: [], counterMax: 0 }

export const encode = ({ counterMax, holes, logs, tables }: Manifest): Uint8Array => {
  const lines = [JSON.stringify({ format, counterMax, logs })]
  for (const { cells, counterMax, id, keyMax, keyMin, level, sizeBytes, tombstones } of tables) {
    lines.push(JSON.stringify({ table: id, level, cells, tombstones, keyMin, keyMax, counterMax, sizeBytes }))
  }
  for (const { counterMax, file, from, offsetBytes, reason, to } of holes) {
    lines.push(JSON.stringify({ hole: file, offsetBytes, from, to, counterMax, reason }))
  }
  const body = `${lines.join("\n")}\n`
  return Bytes.fromUtf8(`${body}${checksumLine(body)}`)
}

const lineFeed = 0x0a

const checksumLine = (body: string): string => `{"crc32":${Bytes.crc32(body)}}\n`

/** All files have numbers below `nextFile`. */
export const write = (disk: Disk["Service"], directory: string, manifest: Manifest, nextFile?: number) =>
  Effect.andThen(
    assertions.holds("a change of the manifest", assertions.ofManifest(manifest, nextFile)),
    writeAtomically(disk, pathOf(directory), encode(manifest))
  )

const Head = Schema.Struct({ format: Schema.Literal(format), counterMax: Schema.Int, logs: Schema.Array(Schema.Int) })

const Level = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: levelCount - 1 }))

const Entry = Schema.Union([
  Schema.Struct({
    table: Schema.Int,
    level: Level,
    cells: Schema.Int,
    tombstones: Schema.Int,
    keyMin: Key,
    keyMax: Key,
    counterMax: Schema.Int,
    sizeBytes: Schema.Int
  }),
  Schema.Struct({
    hole: Schema.String,
    offsetBytes: Schema.Int,
    from: Schema.String,
    to: Schema.String,
    counterMax: Schema.Int,
    reason: Schema.String
  })
])

const decodeHead = Schema.decodeEffect(Schema.fromJsonString(Head))
const decodeEntry = Schema.decodeEffect(Schema.fromJsonString(Entry))

/** `undefined` when the directory has none, because nothing was ever stored in it. */
export const read = Effect.fnUntraced(function*(disk: Disk["Service"], directory: string) {
  const path = pathOf(directory)
  const bytes = yield* disk.readFile(path)
  return bytes === undefined ? undefined : yield* decode(path, bytes)
})

export const decode = Effect.fnUntraced(function*(path: string, bytes: Uint8Array) {
  const bodyBytes = bytes.lastIndexOf(lineFeed, bytes.length - 2) + 1
  const body = Bytes.utf8(bytes, 0, bodyBytes)
  if (Bytes.utf8(bytes, bodyBytes) !== checksumLine(body)) {
    return yield* new Corruption({ path, offsetBytes: 0, reason: "the checksum does not match" })
  }
  const lines = body.split("\n")
  const manifest = yield* decodeLines(lines).pipe(
    Effect.mapError((error) => jsonFormat.refusal(path, lines[0]!, [String(format)], error.message))
  )
  const broken = assertions.ofManifest(manifest)
  return broken === undefined ? manifest : yield* new Corruption({ path, offsetBytes: 0, reason: broken })
})

const decodeLines = Effect.fnUntraced(function*(lines: ReadonlyArray<string>) {
  const head = yield* decodeHead(lines[0]!)
  const tables: Array<TableEntry> = []
  const holes: Array<Hole> = []
  for (const line of lines.slice(1, -1)) {
    const entry = yield* decodeEntry(line)
    if ("hole" in entry) {
      const { hole: file, ...rest } = entry
      holes.push({ file, ...rest })
    } else {
      const { table: id, ...rest } = entry
      tables.push({ id, ...rest })
    }
  }
  const manifest: Manifest = { tables, logs: head.logs, holes, counterMax: head.counterMax }
  return manifest
})
