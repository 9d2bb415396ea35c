/**
 * `members.json` in the data directory: who was in the cluster, so that a restarted node knows its ring at once, even
 * when everybody else is down.
 *
 * Written when a member appears or its record changes in more than its heartbeat; the heartbeats in it are old.
 */
import { Effect, Schema } from "effect"
import { type Disk, writeAtomically } from "../disk/Disk.ts"
import * as jsonFormat from "../disk/jsonFormat.ts"
import { Corruption } from "../disk/StorageError.ts"
import * as Bytes from "../domain/bytes.ts"
import { MemberRecord } from "../peer/PeerProtocol.ts"

const File = Schema.Struct({ format: Schema.Literal(1), members: Schema.Array(MemberRecord) })
const FileJson = Schema.fromJsonString(File)

const pathIn = (dataDirectory: string) => `${dataDirectory}/members.json`

/** Empty in a new directory. A damaged file stops the node: without it, the ring could be another, smaller one. */
export const load = Effect.fnUntraced(function*(disk: Disk["Service"], dataDirectory: string) {
  const path = pathIn(dataDirectory)
  const bytes = yield* disk.readFile(path)
  if (bytes === undefined) return []
  const text = Bytes.utf8(bytes)
  const { members } = yield* Schema.decodeUnknownEffect(FileJson)(text).pipe(
    Effect.mapError((error) => jsonFormat.refusal(path, text, ["1"], error.message))
  )
  return members
})

/** `Corruption`, and the file stays as it was, when `load` could not read it back. */
export const save = Effect.fnUntraced(function*(
  disk: Disk["Service"],
  dataDirectory: string,
  members: ReadonlyArray<MemberRecord>
) {
  const path = pathIn(dataDirectory)
  const json = yield* Schema.encodeEffect(FileJson)({ format: 1, members }).pipe(
    Effect.mapError((error) => new Corruption({ path, offsetBytes: 0, reason: error.message }))
  )
  yield* writeAtomically(disk, path, Bytes.fromUtf8(`${json}\n`))
})
