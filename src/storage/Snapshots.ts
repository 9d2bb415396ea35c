/**
 * The snapshots that a node keeps in its own data directory, by name, below `snapshots/`.
 *
 * The next start removes one that a crash left half written or half removed.
 */
import { Context, Effect, Layer, Schema, Semaphore } from "effect"
import { NodeConfig } from "../config/NodeConfig.ts"
import { Disk } from "../disk/Disk.ts"
import { isMissing, type StorageError } from "../disk/StorageError.ts"
import { bytesOf } from "./Levels.ts"
import * as Manifest from "./manifest/Manifest.ts"
import * as Snapshot from "./snapshot/Snapshot.ts"
import { Storage } from "./Storage.ts"

/** The name becomes that of a directory, and nothing else. */
export class BadSnapshotName extends Schema.TaggedError<BadSnapshotName>()("BadSnapshotName", {
  name: Schema.String
}) {
  override get message() {
    return `"${this.name.slice(0, nameLengthMax)}" is no name for a snapshot: it has 1 to ${nameLengthMax} letters, ` +
      "digits, dashes, underscores, and dots between them"
  }
}

export class SnapshotMissing extends Schema.TaggedError<SnapshotMissing>()("SnapshotMissing", {
  name: Schema.String
}) {
  override get message() {
    return `there is no snapshot ${this.name}`
  }
}

export interface StoredSnapshot {
  readonly name: string
  /** `incomplete`: it is being written, or could not be removed. `damaged`: its manifest cannot be read. */
  readonly state: "complete" | "incomplete" | "damaged"
  readonly tables: number
  readonly cells: number
  readonly bytes: number
}

const nameLengthMax = 100

export const isName = (text: string): boolean =>
  text.length <= nameLengthMax && /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/.test(text)

const checked = (name: string) => isName(name) ? Effect.void : Effect.fail(new BadSnapshotName({ name }))

export class Snapshots extends Context.Service<Snapshots, {
  readonly take: (
    name: string
  ) => Effect.Effect<Snapshot.SnapshotReport, StorageError | Snapshot.SnapshotDirectoryTaken | BadSnapshotName>
  /** By name. */
  readonly list: Effect.Effect<ReadonlyArray<StoredSnapshot>, StorageError>
  readonly remove: (name: string) => Effect.Effect<void, StorageError | SnapshotMissing | BadSnapshotName>
}>()("rondo/storage/Snapshots") {
  static readonly layer: Layer.Layer<Snapshots, never, Disk | NodeConfig | Storage> = Layer.effect(
    Snapshots,
    Effect.gen(function*() {
      const disk = yield* Disk
      const storage = yield* Storage
      const parent = `${(yield* NodeConfig).dataDirectory}/snapshots`
      yield* removeIncomplete(disk, parent)
      // Removing one that is being written would leave a part of it.
      const lock = Semaphore.makeUnsafe(1)
      return {
        take: (name) =>
          Effect.andThen(checked(name), lock.withPermit(storage.snapshot(`${parent}/${name}`))).pipe(
            Effect.tap(({ bytes, tables }) =>
              Effect.logInfo(`snapshot ${name}: ${tables} tables of ${(bytes / 2 ** 20).toFixed(1)} MiB`)
            )
          ),
        list: Effect.flatMap(namesIn(disk, parent), Effect.forEach((name) => describe(disk, parent, name))),
        remove: (name) => Effect.andThen(checked(name), lock.withPermit(remove(disk, parent, name)))
      }
    })
  )
}

const namesIn = (disk: Disk["Service"], parent: string): Effect.Effect<ReadonlyArray<string>, StorageError> =>
  Effect.map(
    Effect.catchIf(disk.list(parent), isMissing, () => Effect.succeed([])),
    (names) => names.filter(isName)
  )

const describe = Effect.fnUntraced(function*(disk: Disk["Service"], parent: string, name: string) {
  const nothing = { name, tables: 0, cells: 0, bytes: 0 }
  const reading = yield* Effect.result(Manifest.read(disk, `${parent}/${name}`))
  if (reading._tag === "Failure") return { ...nothing, state: "damaged" } satisfies StoredSnapshot as StoredSnapshot
  if (reading.success === undefined) return { ...nothing, state: "incomplete" } satisfies StoredSnapshot
  const { tables } = reading.success
  const cells = tables.reduce((sum, table) => sum + table.cells, 0)
  return { name, state: "complete", tables: tables.length, cells, bytes: bytesOf(tables) } satisfies StoredSnapshot
})

const remove = Effect.fnUntraced(function*(disk: Disk["Service"], parent: string, name: string) {
  if (!(yield* namesIn(disk, parent)).includes(name)) return yield* new SnapshotMissing({ name })
  yield* Snapshot.remove(disk, `${parent}/${name}`)
})

/** A directory that cannot be read stays: it is no reason not to start. */
const removeIncomplete = Effect.fnUntraced(function*(disk: Disk["Service"], parent: string) {
  const names = yield* Effect.orElseSucceed(namesIn(disk, parent), () => [])
  for (const name of names) {
    const directory = `${parent}/${name}`
    yield* Effect.catch(
      removeIfIncomplete(disk, directory),
      (error) => Effect.logWarning(`${directory} stays as it is: ${error.message}`)
    )
  }
})

/** Only what this program has written: a directory with anything else is somebody's. */
const removeIfIncomplete = Effect.fnUntraced(function*(disk: Disk["Service"], directory: string) {
  const files = yield* disk.list(directory)
  if (!files.every((file) => /^(?:\d{6,}\.(?:sst|idx)|MANIFEST\.tmp)$/.test(file))) return
  yield* Effect.logWarning(`${directory} is incomplete and removed`)
  yield* Snapshot.remove(disk, directory)
})
