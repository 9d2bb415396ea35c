/**
 * Opens the tables that a manifest names, and takes up the cells of logs, for a start and for a reader of a stopped
 * store. Changes nothing on the disk.
 */
import { Effect } from "effect"
import { isUnreadable } from "../disk/StorageError.ts"
import * as Cell from "../domain/cell/Cell.ts"
import * as cellCodec from "../domain/cell/cellCodec.ts"
import * as Levels from "./Levels.ts"
import * as Holes from "./manifest/Holes.ts"
import * as Manifest from "./manifest/Manifest.ts"
import * as Memtable from "./memtable/Memtable.ts"
import * as Table from "./sstable/Table.ts"

/** A table that cannot be opened, and the range of keys that it held. */
export interface LostTable {
  readonly entry: Manifest.TableEntry
  readonly hole: Holes.Hole
}

/** How many tables may be lost to sectors that cannot be read: with more of them it is the disk that fails. */
const unreadableMax = 2

/** A refused place counts as unreadable only when the disk then reads the manifest and refuses the place again. */
const open = (context: Table.Context, id: number) => {
  const { directory, disk } = context
  const opened = Table.open(context, id)
  return Effect.catchIf(opened, isUnreadable, () => Effect.andThen(disk.readFile(Manifest.pathOf(directory)), opened))
}

/** The tables by level, and those that cannot be opened because of damage. */
export const openTables = Effect.fnUntraced(function*(context: Table.Context, { tables }: Manifest.Manifest) {
  const opened: Array<Array<Table.Table>> = Levels.empty.map(() => [])
  const lost: Array<LostTable> = []
  let unreadable = 0
  yield* Effect.gen(function*() {
    for (const entry of tables) {
      const result = yield* Effect.result(open(context, entry.id))
      if (result._tag === "Success") {
        opened[entry.level]!.push(result.success)
        continue
      }
      const { failure } = result
      if (failure._tag === "Corruption") lost.push({ entry, hole: Holes.ofTable(entry, failure) })
      else if (
        isUnreadable(failure) && failure.path !== Manifest.pathOf(context.directory) && ++unreadable <= unreadableMax
      ) {
        const damage = { path: failure.path, offsetBytes: 0, reason: failure.message }
        lost.push({ entry, hole: Holes.ofTable(entry, damage) })
      } else return yield* failure
    }
  }).pipe(Effect.onError(() => closeAll(opened)))
  return { levels: opened.map(Levels.inOrder), lost }
})

export const closeAll = (levels: Levels.Levels): Effect.Effect<void> =>
  Effect.forEach(Levels.all(levels), ({ close }) => close, { discard: true })

/** Takes the cells of a log's record, the newest of each key. Returns their number; `undefined` if it is not cells. */
export const takeUp = (memtable: Memtable.Memtable, payload: Uint8Array): number | undefined => {
  const cells = cellCodec.decodeAll(payload)
  if (cells === undefined) return undefined
  for (const cell of cells) {
    const before = Memtable.get(memtable, cell.key)
    if (before === undefined || Cell.compare(cell, before) > 0) Memtable.set(memtable, cell)
  }
  return cells.length
}
