/**
 * `members.json` in the data directory: who was in the cluster, so that a restarted node knows its ring at once, even
 * when everybody else is down.
 *
 * Written when a member appears or its record changes in more than its heartbeat; the heartbeats in it are old.
 */
import { Effect, Schema } from "effect"
import type { Disk } from "../disk/Disk.ts"
import * as jsonFile from "../disk/jsonFile.ts"
import { Corruption } from "../disk/StorageError.ts"
import { MemberRecord } from "../peer/PeerProtocol.ts"

const File = Schema.Struct({ format: Schema.Literal(1), members: Schema.Array(MemberRecord) })
const FileJson = Schema.fromJsonString(File)

const pathIn = (dataDirectory: string) => `${dataDirectory}/members.json`

/** Empty in a new directory. A damaged file stops the node: without it, the ring could be another, smaller one. */
export const load = (disk: Disk["Service"], dataDirectory: string) =>
  Effect.map(jsonFile.read(disk, pathIn(dataDirectory), FileJson), (file) => file?.members ?? [])

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
  yield* jsonFile.write(disk, path, json)
})
