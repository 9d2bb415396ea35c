/** Streams, views and cursors that stay open across operations, and the cells that they must give. */
import { Effect, Exit, Scope } from "effect"
import type { Pull } from "effect"
import type { StorageError } from "../../src/disk/StorageError.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import type { Cursor, View } from "../../src/storage/Storage.ts"
import type * as Model from "./Model.ts"

export interface Place {
  readonly expected: ReadonlyArray<Cell>
  at: number
}

export interface OpenStream extends Place {
  readonly pull: Pull.Pull<ReadonlyArray<Cell>, StorageError>
  readonly scope: Scope.Closeable
}

export interface OpenView {
  readonly view: View
  readonly model: Model.Model
  readonly scope: Scope.Closeable
}

export interface OpenCursor extends Place {
  readonly cursor: Cursor
  /** The slot of its view, which ends it. */
  readonly view: number
  readonly reverse: boolean
}

export interface Slots {
  readonly streams: Map<number, OpenStream>
  readonly views: Map<number, OpenView>
  readonly cursors: Map<number, OpenCursor>
}

export const make = (): Slots => ({ streams: new Map(), views: new Map(), cursors: new Map() })

export const closeStream = Effect.fnUntraced(function*({ streams }: Slots, slot: number) {
  const open = streams.get(slot)
  if (open === undefined) return
  streams.delete(slot)
  yield* Scope.close(open.scope, Exit.void)
})

export const closeView = Effect.fnUntraced(function*({ cursors, views }: Slots, slot: number) {
  const open = views.get(slot)
  if (open === undefined) return
  views.delete(slot)
  for (const [place, cursor] of cursors) {
    if (cursor.view === slot) cursors.delete(place)
  }
  yield* Scope.close(open.scope, Exit.void)
})

export const closeAll = Effect.fnUntraced(function*(slots: Slots) {
  for (const slot of Array.from(slots.streams.keys())) yield* closeStream(slots, slot)
  for (const slot of Array.from(slots.views.keys())) yield* closeView(slots, slot)
})
