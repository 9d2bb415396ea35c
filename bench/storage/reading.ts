/** Workloads on the filled store: reads, scans, and writes beside them. */
import { Effect } from "effect"
import * as SeededRandom from "../../src/domain/SeededRandom.ts"
import {
  type Bench,
  type Both,
  type Contest,
  contest,
  inTurn,
  noteFigures,
  openOptions,
  settle,
  timed
} from "./Bench.ts"
import { fill, type Filled, reportFill } from "./filling.ts"
import * as Load from "./Load.ts"
import * as pageCache from "./pageCache.ts"
import { anyKey, type KeyOf, reads } from "./points.ts"
import { deviceBytes, filesOf, processors } from "./processFigures.ts"
import { rowOf } from "./report.ts"
import type { Kind } from "./Store.ts"
import { byName } from "./workloads.ts"

/** With its own seed, a writing load never follows the key sequence of a reading one. */
const writerSeed = 7919

const part = (
  bench: Bench,
  workload: Contest["parts"][number]["workload"],
  operation: Load.Operation,
  inFlight: number,
  key: KeyOf,
  cells: number,
  operationsPerTurn?: number
): Contest["parts"][number] => {
  const { settings } = bench
  return {
    workload,
    cells,
    load: (into, millis, round) => {
      const draw = SeededRandom.make(settings.seed + round + (operation === "put" ? writerSeed : 0))
      const keys = () => key(draw, settings.cells)
      return Load.make(operation, inFlight, keys, { millis }, into, undefined, operationsPerTurn)
    }
  }
}

/** All workloads that need both stores open and warm. */
export const warm = Effect.fnUntraced(function*(bench: Bench, valueBytes: number) {
  const { cells, inFlight } = bench.settings
  yield* Effect.scoped(Effect.gen(function*() {
    const stores = yield* openAll(bench, valueBytes)
    yield* settle
    for (const { found, inFlight: slots, key, name, operation } of reads(inFlight, cells)) {
      if (!bench.wanted(name)) continue
      yield* contest(bench, stores, { valueBytes, parts: [part(bench, byName(name), operation, slots, key, found)] })
    }
    if (bench.wanted("read-while-writing")) {
      yield* contest(bench, stores, {
        valueBytes,
        writes: true,
        parts: [
          part(bench, byName("read-while-writing"), "get", inFlight, anyKey, 1, 1),
          part(bench, { name: "write-while-reading", title: "write while reading" }, "put", inFlight, anyKey, 1, 1)
        ]
      })
    }
    if (bench.wanted("put-single")) {
      yield* contest(bench, stores, {
        valueBytes,
        writes: true,
        parts: [part(bench, byName("put-single"), "put", 1, anyKey, 1)]
      })
    }
  }))
})

export const openAll = (bench: Bench, valueBytes: number) =>
  Effect.forEach(bench.kinds, (kind) => kind.open(openOptions(bench, kind, "main", valueBytes)))

/** Few enough that most reads hit a block that has not been read since the eviction. */
const coldReadsMax = 20_000
const coldShare = 0.1

export const cold = Effect.fnUntraced(function*(bench: Bench, valueBytes: number) {
  const recordings: Both<Load.Recording> = {}
  const remarks: Array<string> = []
  for (let round = 0; round < bench.settings.rounds; round++) {
    for (const kind of inTurn(bench.kinds)) {
      const into = recordings[kind.name] ??= Load.recording()
      const seen = yield* coldRound(bench, kind, valueBytes, round, into)
      if ("warm" in seen) {
        bench.report.remarks.push(`read cold, ${valueBytes} B: not measured: ${seen.warm}`)
        return
      }
      if (round === bench.settings.rounds - 1) remarks.push(`${kind.name} ${seen.cold}`)
    }
  }
  const both: Both<Load.Figures> = {}
  for (const { name } of bench.kinds) {
    both[name] = Load.figures(recordings[name]!, processors)
    noteFigures(bench.note, "read cold", valueBytes, name, both[name])
  }
  bench.report.rows.push(rowOf(byName("read-cold"), valueBytes, both, remarks.join("; ")))
})

/** Returns the state of the page cache and the bytes from the device, or why the files could not be evicted. */
const coldRound = Effect.fnUntraced(function*(
  bench: Bench,
  kind: Kind,
  valueBytes: number,
  round: number,
  into: Load.Recording
) {
  const { cells, inFlight, seed } = bench.settings
  const options = openOptions(bench, kind, "main", valueBytes)
  const files = filesOf(options.directory)
  const evicted = pageCache.evict(files)
  if (typeof evicted === "string") return { warm: evicted }
  if (!pageCache.isCold(evicted)) {
    return { warm: `${evicted.residentBytes} of ${evicted.sizeBytes} bytes stayed in the page cache` }
  }
  const draw = SeededRandom.make(seed + round)
  const count = Math.max(1, Math.min(coldReadsMax, Math.round(cells * coldShare)))
  return yield* Effect.scoped(Effect.gen(function*() {
    const store = yield* kind.open(options)
    const before = deviceBytes()?.read
    yield* timed(into, store.drive(Load.make("get", inFlight, () => anyKey(draw, cells), { count }, into)))
    const after = deviceBytes()?.read
    const fromDevice = before === undefined || after === undefined
      ? ""
      : `, ${megabytes(after - before)} read from the device`
    return {
      cold: `${megabytes(evicted.residentBytes)} of ${megabytes(evicted.sizeBytes)} in the page cache before, ` +
        `${count} reads${fromDevice}`
    }
  }))
})

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`

/** As many writes as there are cells, and the space used afterwards; then writes beside a compaction. */
export const overwriting = Effect.fnUntraced(function*(bench: Bench, valueBytes: number) {
  const { cells, inFlight, seed } = bench.settings
  if (bench.wanted("overwrite")) {
    const both: Both<Filled> = {}
    for (const kind of inTurn(bench.kinds)) {
      const draw = SeededRandom.make(seed + writerSeed)
      both[kind.name] = yield* Effect.scoped(Effect.flatMap(
        kind.open(openOptions(bench, kind, "main", valueBytes)),
        (store) => fill(bench, store, byName("overwrite").title, valueBytes, () => anyKey(draw, cells))
      ))
    }
    reportFill(bench, "overwrite", valueBytes, both)
  }
  if (bench.wanted("write-while-compacting")) {
    yield* Effect.scoped(Effect.gen(function*() {
      const stores = yield* openAll(bench, valueBytes)
      yield* settle
      yield* contest(bench, stores, {
        valueBytes,
        writes: true,
        beside: ({ compact }) => compact,
        parts: [part(bench, byName("write-while-compacting"), "put", inFlight, anyKey, 1)]
      })
    }))
  }
})
