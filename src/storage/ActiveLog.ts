/**
 * The log that the active memtable's cells go to: opened for the first record, ended with the memtable, and replaced
 * when it breaks.
 *
 * Invariants
 * - The manifest names a log before the log holds anything, so that its loss is noticed.
 * - A log that broke takes no more records, and stays as long as it may hold cells that were acknowledged.
 */
import { Effect } from "effect"
import type { StorageError } from "../disk/StorageError.ts"
import * as Bytes from "../domain/bytes.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import * as cellCodec from "../domain/cell/cellCodec.ts"
import { timed } from "../observability/Metrics.ts"
import type { State } from "./State.ts"
import * as frame from "./wal/frame.ts"
import * as RecordLog from "./wal/RecordLog.ts"

export interface ActiveLog {
  /** Appends the cells as one record, durably with `FSYNC=always`. When it fails, none of them is in the log. */
  readonly append: (cells: ReadonlyArray<Cell>) => Effect.Effect<void, StorageError>
  /** Whether a record waits for a sync. */
  readonly needsSync: () => boolean
  readonly sync: Effect.Effect<void, StorageError>
  /** Closes it, as far as there is one. The next record opens another one. */
  readonly end: Effect.Effect<void>
  /** The same, for good. */
  readonly close: Effect.Effect<void>
}

/** Holds the usual record. */
const bufferBytes = 1024 * 1024

export const make = ({ disk, figures, memtables, metrics, settings, tables }: State): ActiveLog => {
  const { directory, fsync } = settings
  let log: RecordLog.RecordLog | undefined
  /** Whether it holds cells that were acknowledged. */
  let holdsCells = false
  /** Created, but not known to be in the manifest. */
  let unnamed: { readonly id: number; readonly opened: RecordLog.RecordLog } | undefined
  /** Empty logs that broke: removed once the manifest no longer names them. */
  const discarded: Array<number> = []
  let needsSync = false
  const buffer = Bytes.allocateOwn(bufferBytes)

  const discardBroken = Effect.suspend(() => {
    const broken = log
    if (broken === undefined) return Effect.void
    log = undefined
    // Without cells it is of no use, and while the disk refuses syncs there would be one more at each attempt.
    if (!holdsCells) discarded.push(memtables.active.logs.pop()!)
    return broken.close
  })

  const usable = Effect.suspend((): Effect.Effect<RecordLog.RecordLog, StorageError> =>
    log !== undefined && !log.isBroken() ? Effect.succeed(log) : Effect.andThen(discardBroken, open)
  )

  const open = Effect.gen(function*() {
    const { id, opened } = unnamed ??= yield* create
    yield* tables.install((now) => ({ ...now, logs: [...now.logs, id] }), () => memtables.active.logs.push(id))
    unnamed = undefined
    log = opened
    holdsCells = false
    for (const broken of discarded.splice(0)) yield* Effect.ignore(disk.remove(RecordLog.pathOf(directory, broken)))
    return opened
  })

  const create = Effect.suspend(() => {
    const id = tables.takeFile()
    const path = RecordLog.pathOf(directory, id)
    return RecordLog.open(disk, path, 0).pipe(
      Effect.tapError(() => Effect.ignore(disk.remove(path))),
      Effect.map((opened) => ({ id, opened }))
    )
  })

  const syncOf = (current: RecordLog.RecordLog) =>
    Effect.suspend(() => {
      figures.countSync()
      return timed(current.sync, metrics.logSynced)
    })

  /** Room for a header, then the cells. A large record gets a buffer of its own, which is not kept. */
  const encode = (cells: ReadonlyArray<Cell>): Uint8Array => {
    let needed = frame.headerBytes
    for (const cell of cells) needed += cellCodec.bytesMax(cell)
    const target = needed > buffer.length ? Bytes.allocateOwn(needed) : buffer
    let end = frame.headerBytes
    for (const cell of cells) end = cellCodec.encode(cell, target, end)
    return target.subarray(0, end)
  }

  /** A last record vouches for those before it, so that damage to them is not taken for a torn tail. */
  const vouchAndClose = (ended: RecordLog.RecordLog) =>
    Effect.andThen(ended.isBroken() || fsync === "never" ? Effect.void : Effect.ignore(ended.vouch), ended.close)

  const end = Effect.suspend(() => {
    const ended = log
    log = undefined
    needsSync = false
    return ended === undefined ? Effect.void : vouchAndClose(ended)
  })

  return {
    append: Effect.fnUntraced(function*(cells) {
      const current = yield* usable
      const before = current.sizeBytes()
      yield* current.appendFramed(encode(cells))
      if (fsync === "always") yield* syncOf(current)
      else needsSync = true
      holdsCells ||= cells.length > 0
      memtables.active.logBytes += current.sizeBytes() - before
    }),
    needsSync: () => needsSync,
    sync: Effect.suspend(() => {
      needsSync = false
      return log === undefined || log.isBroken() ? Effect.void : syncOf(log)
    }),
    end,
    close: Effect.andThen(end, Effect.suspend(() => unnamed === undefined ? Effect.void : unnamed.opened.close))
  }
}
