/** The engine as the sequences use it. */
import type { Effect, Scope, Stream } from "effect"
import type { Cell } from "../../src/domain/Cell.ts"
import type { Key } from "../../src/domain/Key.ts"
import type * as Engine from "../../src/storage/Engine.ts"
import type { StorageError } from "../../src/storage/StorageError.ts"
import type { Operation, Range } from "./Operation.ts"

type Head = Effect.Success<ReturnType<typeof Engine.open>>

export interface Cursor {
  readonly next: (countMax: number) => Effect.Effect<ReadonlyArray<Cell>, StorageError>
  readonly seek: (key: string) => Effect.Effect<void, StorageError>
}

export interface View {
  readonly get: (key: Key) => Effect.Effect<Cell | undefined, StorageError>
  readonly cursor: (options?: Range) => Effect.Effect<Cursor>
}

export interface Subject extends Omit<Head, "scan"> {
  readonly scan: (options?: Range) => Stream.Stream<Cell, StorageError>
  readonly view: Effect.Effect<View, never, Scope.Scope>
  readonly compact: Effect.Effect<void, StorageError>
}

export const ofEngine = (engine: Head): Subject => engine as unknown as Subject

const later = new Set<Operation["_tag"]>(["open view", "open cursor", "compact", "verify"])

/** Until the engine has them all. */
export const isSupported = (operation: Operation): boolean => {
  if (later.has(operation._tag)) return false
  if (operation._tag !== "scan" && operation._tag !== "open stream") return true
  const { reverse, to, tombstones } = operation.range
  return reverse !== true && to === undefined && tombstones !== false
}
