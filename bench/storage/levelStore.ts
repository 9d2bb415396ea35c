/** LevelDB through the asynchronous calls of `classic-level`, driven by a loop of promises per operation in flight. */
import { ClassicLevel } from "classic-level"
import { Effect } from "effect"
import { keyBytes, values } from "./cells.ts"
import { type Load, scanCells } from "./Load.ts"
import { deviceBytes } from "./processFigures.ts"
import type { Kind, OpenOptions } from "./Store.ts"

export interface LevelOptions {
  readonly compression: boolean
  /** The type of returned values: bytes as in Rondo, or text, which saves LevelDB an object per value. */
  readonly valueEncoding: "buffer" | "utf8"
}

/** More than a scan of the largest values holds, so that a scan needs one trip. */
const highWaterMarkBytes = 256 * 1024

const open = Effect.fnUntraced(function*(level: LevelOptions, options: OpenOptions) {
  const before = deviceBytes()
  const database = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const opened = new ClassicLevel<string, Buffer | string>(options.directory, {
        keyEncoding: "utf8",
        valueEncoding: level.valueEncoding,
        compression: level.compression,
        cacheSize: options.cacheBytes,
        writeBufferSize: options.memtableBytes
      })
      await opened.open()
      return opened
    }),
    (opened) => Effect.promise(() => opened.close())
  )
  const bytes = values(options.valueBytes, options.seed)
  const value = level.valueEncoding === "buffer" ? bytes : () => bytes().toString("latin1")
  const putOptions = { sync: options.synced }
  // Each returns the number of cells that it wrote or found.
  const operations: Record<Load["operation"], (key: string) => Promise<number>> = {
    put: (key) => database.put(key, value(), putOptions).then(() => 1),
    get: (key) => database.get(key).then((found) => found === undefined ? 0 : 1),
    scan: (key) => database.iterator({ gte: key, limit: scanCells, highWaterMarkBytes }).all().then((all) => all.length)
  }
  const drive = ({ answered, inFlight, next, operation }: Load) => {
    const perform = operations[operation]
    const slot = async () => {
      for (let key = next(); key !== undefined; key = next()) {
        const beganAt = performance.now()
        answered(beganAt, await perform(key))
      }
    }
    return Effect.promise(() => Promise.all(Array.from({ length: inFlight }, slot)))
  }
  return {
    name: "leveldb" as const,
    directory: options.directory,
    drive: (load: Load) => Effect.asVoid(drive(load)),
    compact: Effect.promise(() => database.compactRange("0", ":")),
    // LevelDB does not count them. The whole process writes for LevelDB alone while the other store is idle.
    writtenBytes: () => {
      const now = deviceBytes()
      return before === undefined || now === undefined ? undefined : now.written - before.written
    },
    cellBytes: () => keyBytes + options.valueBytes,
    blockReads: () => undefined
  }
})

export const leveldb = (level: LevelOptions): Kind => ({
  name: "leveldb",
  open: (options) => open(level, options)
})
