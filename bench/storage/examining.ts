/** Measures other than rates: false positives of the filters, the time of recovery, the memory of a store. */
import { Effect } from "effect"
import * as fs from "node:fs"
import * as SeededRandom from "../../src/domain/SeededRandom.ts"
import { addMeasure, type Bench, type Both, openOptions, removeDirectory, settle, timed } from "./Bench.ts"
import { keyOf, missingKeyOf, permutation } from "./cells.ts"
import * as Load from "./Load.ts"
import { filesOf, sizeBytesOf } from "./processFigures.ts"
import type { Kind } from "./Store.ts"

const filterReads = 50_000
const filterWrongMax = 0.015

/** Without a cache, each block that a filter admits is a read. For missing keys, every read is a false positive. */
export const filter = Effect.fnUntraced(function*(bench: Bench, valueBytes: number) {
  const { cells, inFlight, seed } = bench.settings
  const both: Both<number> = {}
  for (const kind of bench.kinds) {
    yield* Effect.scoped(Effect.gen(function*() {
      const store = yield* kind.open({ ...openOptions(bench, kind, "main", valueBytes), cacheBytes: 0 })
      if (store.blockReads() === undefined) return
      yield* store.compact
      yield* settle
      const before = store.blockReads()!
      const draw = SeededRandom.make(seed)
      const recorded = Load.recording()
      const load = Load.make("get", inFlight, () => missingKeyOf(draw.below(cells)), { count: filterReads }, recorded)
      yield* timed(recorded, store.drive(load))
      both[kind.name] = (store.blockReads()! - before) / filterReads
    }))
  }
  addMeasure(
    bench,
    "filter",
    { title: "blocks read for a missing key", unit: "share", valueBytes, below: filterWrongMax },
    both
  )
})

const logBytesWanted = 64 * 1024 * 1024
const cellsPerStep = 10_000
/** Large enough that nothing is flushed. */
const hugeMemtableBytes = 1024 ** 3
const recoveryAttempts = 3
const recoverySecondsMax = 2

const logBytes = (directory: string): number => sizeBytesOf(filesOf(directory).filter((file) => file.endsWith(".log")))

/** Copies an open store with all its cells in the log, as a killed process leaves it, and opens the copy. */
const recoverySeconds = Effect.fnUntraced(function*(bench: Bench, kind: Kind, valueBytes: number) {
  const options = openOptions(bench, kind, "recovery", valueBytes)
  const copy = `${options.directory}-copy`
  const keys = bench.settings.cells * 4
  const shuffled = permutation(keys, bench.settings.seed)
  let written = 0
  const keyAt = (sequence: number) => keyOf(shuffled(sequence % keys))
  yield* Effect.scoped(Effect.gen(function*() {
    const store = yield* kind.open({ ...options, memtableBytes: hugeMemtableBytes })
    while (logBytes(options.directory) < logBytesWanted) {
      const load = Load.make(
        "put",
        bench.settings.inFlight,
        () => keyAt(written++),
        { count: cellsPerStep },
        Load.recording()
      )
      yield* store.drive(load)
    }
    yield* Effect.sync(() => fs.cpSync(options.directory, `${copy}-0`, { recursive: true }))
  }))
  const seconds: Array<number> = []
  for (let attempt = 0; attempt < recoveryAttempts; attempt++) {
    yield* Effect.sync(() => fs.cpSync(`${copy}-0`, copy, { recursive: true }))
    const beganAt = performance.now()
    yield* Effect.scoped(Effect.gen(function*() {
      const store = yield* kind.open({ ...options, directory: copy })
      const recorded = Load.recording()
      yield* store.drive(Load.make("get", 1, () => keyAt(written - 1), { count: 1 }, recorded))
      seconds.push((performance.now() - beganAt) / 1000)
      if (recorded.cells !== 1) bench.report.remarks.push(`WRONG: ${kind.name} lost a cell of the log during recovery`)
      yield* settle
    }))
    yield* removeDirectory(copy)
  }
  for (const directory of [options.directory, `${copy}-0`]) yield* removeDirectory(directory)
  return seconds.toSorted((left, right) => left - right)[Math.floor(recoveryAttempts / 2)]!
})

export const recovery = Effect.fnUntraced(function*(bench: Bench, valueBytes: number) {
  const both: Both<number> = {}
  for (const kind of bench.kinds) {
    both[kind.name] = yield* recoverySeconds(bench, kind, valueBytes)
    bench.note(`  recovery, ${valueBytes} B, ${kind.name} ${both[kind.name]!.toFixed(2)} s`)
  }
  addMeasure(
    bench,
    "recovery",
    { title: "log of 64 MiB", unit: "s", valueBytes, below: recoverySecondsMax },
    both
  )
})

/** Each store in its own process: fills, reads, and reports how large the process became. */
export const memory = Effect.fnUntraced(function*(bench: Bench, valueBytes: number) {
  const both: Both<number> = {}
  for (const { name } of bench.kinds) {
    const result = yield* Effect.sync(() =>
      bench.again(["--engine", name, "--only", "fill-random,read-random", "--value", String(valueBytes)])
    )
    both[name] = (result as { readonly rssMaxBytes: number }).rssMaxBytes
    bench.note(`  memory, ${valueBytes} B, ${name} ${Math.round(both[name] / 1e6)} MB`)
  }
  addMeasure(bench, "memory", { title: "largest, filling and reading", unit: "MB", valueBytes }, both)
})
