/** Rondo's engine on the real disk, driven by one fiber per operation in flight. */
import { Effect } from "effect"
import { Disk } from "../../src/disk/Disk.ts"
import * as DiskNode from "../../src/disk/DiskNode.ts"
import type { StorageError } from "../../src/disk/StorageError.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import * as CellLine from "../../src/domain/cell/CellLine.ts"
import type { Key } from "../../src/domain/Key.ts"
import type { NodeId } from "../../src/domain/NodeId.ts"
import type { Incarnation } from "../../src/domain/Version.ts"
import * as Engine from "../../src/storage/Engine.ts"
import type { View } from "../../src/storage/scan/View.ts"
import { keyOf, values } from "./cells.ts"
import * as countingDisk from "./countingDisk.ts"
import { type Load, scanCells } from "./Load.ts"
import type { Kind, OpenOptions } from "./Store.ts"

const nodeId = "node1" as NodeId
const incarnation = "000000000000" as Incarnation
const contentType = "application/octet-stream"

const lineFeedBytes = 1

const open = Effect.fnUntraced(function*(options: OpenOptions) {
  const counted = countingDisk.counts()
  const disk = countingDisk.make(yield* Disk, counted)
  yield* disk.makeDirectory(options.directory)
  const engine = yield* Engine.open(disk, {
    directory: options.directory,
    fsync: options.synced ? "always" : "never",
    memtableBytesMax: options.memtableBytes,
    blockCacheBytesMax: options.cacheBytes,
    // As under `level`: LevelDB does not report replaced values either.
    tellsReplaced: false
  })
  const value = values(options.valueBytes, options.seed)
  let counter = yield* engine.counterMax
  const cellOf = (key: string): Cell => ({
    key: key as Key,
    version: { counter: ++counter, nodeId, incarnation },
    value: { bytes: value(), contentType }
  })
  // Each returns the number of cells that it wrote or found.
  const operations: Record<Load["operation"], (key: string) => Effect.Effect<number, StorageError>> = {
    put: (key) => Effect.map(engine.apply([cellOf(key)]), ({ length }) => length),
    get: (key) => Effect.map(engine.get(key as Key), (cell) => cell?.value === undefined ? 0 : 1),
    scan: (key) => Effect.scoped(Effect.flatMap(engine.view, (view) => scan(view, key)))
  }
  const drive = ({ answered, inFlight, next, operation, operationsPerTurn }: Load) => {
    const perform = operations[operation]
    const slot = Effect.gen(function*() {
      let sinceYield = 0
      for (let key = next(); key !== undefined; key = next()) {
        const beganAt = performance.now()
        answered(beganAt, yield* perform(key))
        if (++sinceYield === operationsPerTurn) {
          sinceYield = 0
          yield* Effect.yieldNow
        }
      }
    })
    return Effect.orDie(Effect.all(Array.from({ length: inFlight }, () => slot), {
      concurrency: "unbounded",
      discard: true
    }))
  }
  return {
    name: "rondo" as const,
    directory: options.directory,
    drive,
    compact: Effect.orDie(engine.compact),
    writtenBytes: () => counted.logBytes + counted.tableBytes,
    cellBytes: () => {
      const line = CellLine.encode({
        key: keyOf(0) as Key,
        version: { counter: Math.max(1, counter), nodeId, incarnation },
        value: { bytes: value(), contentType }
      })
      return Buffer.byteLength(line) + lineFeedBytes
    },
    blockReads: () => counted.reads
  }
})

const scan = Effect.fnUntraced(function*(view: View, key: string) {
  const cursor = yield* view.cursor({ from: key })
  let found = 0
  while (found < scanCells) {
    const cells = yield* cursor.next(scanCells - found)
    if (cells.length === 0) break
    found += cells.length
  }
  return found
})

export const rondo: Kind = {
  name: "rondo",
  open: (options) => open(options).pipe(Effect.provide(DiskNode.layer), Effect.orDie)
}
