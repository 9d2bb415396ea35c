/**
 * The storage engine alone, on the real disk: writes per second at 32 and 128 in flight with each `FSYNC`, reads from
 * memory and from tables.
 *
 *     node bench/storage.ts [cells]
 */
import { Effect, Layer, Stream } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { type Fsync, NodeConfig } from "../src/config/NodeConfig.ts"
import type { Cell } from "../src/domain/Cell.ts"
import type { Key } from "../src/domain/Key.ts"
import { NodeId } from "../src/domain/NodeId.ts"
import { Incarnation } from "../src/domain/Version.ts"
import * as DiskNode from "../src/storage/DiskNode.ts"
import { Identity } from "../src/storage/Identity.ts"
import { Storage } from "../src/storage/Storage.ts"

const cells = Number(process.argv[2] ?? 200_000)
const nodeId = NodeId.make("node1")
const incarnation = Incarnation.make("000000000000")
const contentType = "application/octet-stream"
const valueBytes = Buffer.alloc(100, "v")

/** Spread over the key space, the same in each run. */
const keyOf = (index: number) =>
  `user${String((Math.imul(index, 2654435761) >>> 0) % 1_000_000_007).padStart(12, "0")}` as Key

const cellOf = (index: number): Cell => ({
  key: keyOf(index),
  version: { counter: index + 1, nodeId, incarnation },
  value: { bytes: valueBytes, contentType }
})

/** Runs `count` operations with as many in flight, and prints how many a second there were. */
const measure = Effect.fnUntraced(function*<E>(
  name: string,
  count: number,
  inFlight: number,
  operation: (index: number) => Effect.Effect<unknown, E>
) {
  const started = performance.now()
  const cpu = process.cpuUsage()
  let next = 0
  const worker = Effect.gen(function*() {
    while (next < count) yield* operation(next++)
  })
  yield* Effect.all(Array.from({ length: inFlight }, () => worker), { concurrency: "unbounded", discard: true })
  const seconds = (performance.now() - started) / 1000
  const { system, user } = process.cpuUsage(cpu)
  console.log(
    `${name.padEnd(34)} ${String(inFlight).padStart(4)} in flight  ${
      Math.round(count / seconds).toLocaleString("en").padStart(9)
    }/s  ${((user + system) / count).toFixed(1).padStart(6)} us CPU each`
  )
})

const withStore = <A, E>(fsync: Fsync, use: (storage: Storage["Service"]) => Effect.Effect<A, E>) =>
  Effect.suspend(() => {
    const dataDirectory = fs.mkdtempSync(path.join(os.tmpdir(), "rondo-bench-"))
    const layers = Storage.layer.pipe(
      Layer.provide(Identity.layer),
      Layer.provide([DiskNode.layer, NodeConfig.layerTest({ dataDirectory, fsync })])
    )
    return Effect.gen(function*() {
      return yield* use(yield* Storage)
    }).pipe(
      Effect.provide(layers),
      Effect.ensuring(Effect.sync(() => fs.rmSync(dataDirectory, { recursive: true })))
    )
  })

const writes = (fsync: Fsync, inFlight: number) =>
  withStore(
    fsync,
    (storage) => measure(`apply, FSYNC=${fsync}`, cells, inFlight, (index) => storage.apply([cellOf(index)]))
  )

const reads = withStore("never", (storage) =>
  Effect.gen(function*() {
    for (let index = 0; index < cells; index += 1000) {
      yield* storage.apply(Array.from({ length: Math.min(1000, cells - index) }, (_, offset) => cellOf(index + offset)))
    }
    const random = (index: number) => keyOf(Math.imul(index, 40503) % cells >>> 0)
    yield* storage.flush
    const stats = yield* storage.stats
    console.log(`${stats.tables} tables, ${Math.round(stats.tableBytes / 1e6)} MB, ${stats.compactions} compactions`)
    yield* measure("get, from tables, first pass", cells, 32, (index) => storage.get(keyOf(index)))
    yield* measure("get, from tables, blocks cached", cells, 32, (index) => storage.get(random(index)))
    yield* measure("version, blocks cached", cells, 32, (index) => storage.version(random(index)))
    yield* measure("get, missing", cells, 32, (index) => storage.get(`${keyOf(index)}x` as Key))
    yield* measure("overwrite, from tables", cells, 32, (index) =>
      storage.apply([{ ...cellOf(index), version: { counter: cells + index + 1, nodeId, incarnation } }]))
    yield* measure("get, from memory and tables", cells, 32, (index) =>
      storage.get(random(index)))
    const started = performance.now()
    const scanned = yield* Stream.runCount(storage.scan())
    console.log(
      `scan of ${scanned} cells: ${Math.round(scanned / ((performance.now() - started) / 1000)).toLocaleString("en")}/s`
    )
  }))

Effect.runPromise(Effect.gen(function*() {
  for (const fsync of ["always", "never"] as const) {
    for (const inFlight of [1, 32, 128]) yield* writes(fsync, inFlight)
  }
  yield* reads
})).catch((cause: unknown) => {
  console.error(cause)
  process.exitCode = 1
})
