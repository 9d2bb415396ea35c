/** Small files of one line of JSON in format 1, which are replaced in one piece. */
import { Effect, Schema } from "effect"
import * as Bytes from "../domain/bytes.ts"
import { type Disk, writeAtomically } from "./Disk.ts"
import * as jsonFormat from "./jsonFormat.ts"
import type { StorageError } from "./StorageError.ts"

/** `undefined` when there is no such file. */
export const read = Effect.fnUntraced(function*<A>(
  disk: Disk["Service"],
  path: string,
  schema: Schema.Codec<A, string>
): Effect.fn.Return<A | undefined, StorageError> {
  const bytes = yield* disk.readFile(path)
  if (bytes === undefined) return undefined
  const text = Bytes.utf8(bytes)
  return yield* Schema.decodeEffect(schema)(text).pipe(
    Effect.mapError(({ message }) => jsonFormat.refusal(path, text, ["1"], message))
  )
})

export const write = (disk: Disk["Service"], path: string, json: string): Effect.Effect<void, StorageError> =>
  writeAtomically(disk, path, Bytes.fromUtf8(`${json}\n`))
