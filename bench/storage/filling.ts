/** Workloads that write every cell once: rate, pauses, memory, space and write amplification. */
import { Effect } from "effect"
import * as SeededRandom from "../../src/domain/SeededRandom.ts"
import {
  addMeasure,
  type Bench,
  type Both,
  contest,
  inTurn,
  noteFigures,
  openOptions,
  removeDirectory,
  settle,
  timed
} from "./Bench.ts"
import { keyOf, permutation } from "./cells.ts"
import * as Load from "./Load.ts"
import { newKey } from "./points.ts"
import { during, filesOf, type ProcessFigures, processors, sizeBytesOf } from "./processFigures.ts"
import { rowOf } from "./report.ts"
import type { Kind, Store } from "./Store.ts"
import { byName, type WorkloadName } from "./workloads.ts"

export interface Filled {
  readonly figures: Load.Figures
  readonly process: ProcessFigures
  readonly settleMillis: number
  readonly spaceBytes: number
  /** Without the log, which does not grow with the store. */
  readonly tableBytes: number
  readonly lineBytes: number
  readonly writtenBytes: number | undefined
}

/** Writes all cells, then waits until the store is idle. */
export const fill = Effect.fnUntraced(
  function*(bench: Bench, store: Store, title: string, valueBytes: number, key: (sequence: number) => string) {
    const { cells, inFlight } = bench.settings
    const recorded = Load.recording()
    const writtenBefore = store.writtenBytes()
    const progress = setInterval(() => bench.note(progressLine(store, recorded, cells)), progressMillis)
    // Without the wait that follows: the ticks of an idle event loop would hide the pauses.
    const [, seen] = yield* during(
      timed(recorded, store.drive(Load.make("put", inFlight, key, { count: cells }, recorded)))
    ).pipe(Effect.ensuring(Effect.sync(() => clearInterval(progress))))
    const settleMillis = yield* settle
    const figures = Load.figures(recorded, processors)
    noteFigures(bench.note, title, valueBytes, store.name, figures)
    const writtenAfter = store.writtenBytes()
    const files = filesOf(store.directory)
    const filled: Filled = {
      figures,
      process: seen,
      settleMillis,
      spaceBytes: sizeBytesOf(files),
      tableBytes: sizeBytesOf(files.filter((file) => !file.endsWith(".log"))),
      lineBytes: cells * store.cellBytes(),
      writtenBytes: writtenBefore === undefined || writtenAfter === undefined ? undefined : writtenAfter - writtenBefore
    }
    return filled
  }
)

const progressMillis = 5000

const progressLine = (store: Store, recorded: Load.Recording, cells: number): string =>
  `    ${store.name} ${Math.floor(recorded.operations / cells * 100)} %  ` +
  `${Math.round(process.memoryUsage.rss() / 1e6)} MB resident`

/** Aims for 10 million cells; smaller stores should meet them too. */
const spaceAmplificationMax = 1.3
const writeAmplificationMax = 12
const pauseP999MillisMax = 50
const rssBytesMax = 1.5 * 1024 ** 3

export const reportFill = (
  bench: Bench,
  name: WorkloadName,
  valueBytes: number,
  both: Both<Filled>
): void => {
  const figures: Both<Load.Figures> = {}
  for (const store of ["rondo", "leveldb"] as const) {
    const filled = both[store]
    if (filled === undefined) continue
    figures[store] = filled.figures
    bench.report.fills.push({ workload: name, valueBytes, store, ...filled })
  }
  bench.report.rows.push(rowOf(byName(name), valueBytes, figures))
  const of = (figure: (filled: Filled) => number | undefined): Both<number> => {
    const found: Both<number> = {}
    for (const store of ["rondo", "leveldb"] as const) {
      const value = both[store] === undefined ? undefined : figure(both[store])
      if (value !== undefined) found[store] = value
    }
    return found
  }
  const add = (title: string, unit: "x" | "MB" | "ms" | "s", below: number | undefined, values: Both<number>) =>
    addMeasure(bench, name, { title, unit, valueBytes, ...(below === undefined ? {} : { below }) }, values)
  add("space on disk", "MB", undefined, of(({ spaceBytes }) => spaceBytes))
  add("space / live cells", "x", spaceAmplificationMax, of(({ lineBytes, spaceBytes }) => spaceBytes / lineBytes))
  add("tables / live cells", "x", undefined, of(({ lineBytes, tableBytes }) => tableBytes / lineBytes))
  add(
    "bytes written / cells",
    "x",
    writeAmplificationMax,
    of(({ lineBytes, writtenBytes }) => writtenBytes === undefined ? undefined : writtenBytes / lineBytes)
  )
  add("event loop blocked, p99", "ms", undefined, of(({ process }) => process.pauseP99Millis))
  add("event loop blocked, p99.9", "ms", pauseP999MillisMax, of(({ process }) => process.pauseP999Millis))
  add("event loop blocked, longest", "ms", undefined, of(({ process }) => process.pauseMaxMillis))
  add("slowest write", "ms", undefined, of(({ figures }) => figures.maxMicros / 1000))
  add("background work left", "s", undefined, of(({ settleMillis }) => settleMillis / 1000))
  if (bench.kinds.length === 1) {
    add("peak resident memory", "MB", rssBytesMax, of(({ process }) => process.rssMaxBytes))
  }
}

/** Fills each store in its own directory, which stays. */
export const fillEach = Effect.fnUntraced(
  function*(bench: Bench, name: WorkloadName, part: string, valueBytes: number, key: (sequence: number) => string) {
    const both: Both<Filled> = {}
    for (const kind of inTurn(bench.kinds)) {
      both[kind.name] = yield* Effect.scoped(Effect.flatMap(
        kind.open(openOptions(bench, kind, part, valueBytes)),
        (store) => fill(bench, store, byName(name).title, valueBytes, key)
      ))
    }
    return both
  }
)

export const ordered = Effect.fnUntraced(function*(bench: Bench, valueBytes: number) {
  const both = yield* fillEach(bench, "fill-ordered", "ordered", valueBytes, keyOf)
  reportFill(bench, "fill-ordered", valueBytes, both)
  for (const kind of bench.kinds) yield* removeDirectory(openOptions(bench, kind, "ordered", valueBytes).directory)
})

/** Fills the store that later workloads read. */
export const random = Effect.fnUntraced(function*(bench: Bench, valueBytes: number) {
  const { cells, seed } = bench.settings
  const shuffled = permutation(cells, seed)
  const both = yield* fillEach(bench, "fill-random", "main", valueBytes, (sequence) => keyOf(shuffled(sequence)))
  if (bench.wanted("fill-random")) reportFill(bench, "fill-random", valueBytes, both)
})

export const synced = Effect.fnUntraced(function*(
  bench: Bench,
  valueBytes: number,
  name: "fill-synced-32" | "fill-synced-128",
  inFlight: number
) {
  const open = (kind: Kind) => kind.open({ ...openOptions(bench, kind, name, valueBytes), synced: true })
  yield* Effect.scoped(Effect.gen(function*() {
    const stores = yield* Effect.forEach(bench.kinds, open)
    yield* contest(bench, stores, {
      valueBytes,
      writes: true,
      parts: [{
        workload: byName(name),
        cells: 1,
        load: (into, millis, round) => {
          const draw = SeededRandom.make(bench.settings.seed + round)
          return Load.make("put", inFlight, () => newKey(draw, bench.settings.cells), { millis }, into)
        }
      }]
    })
  }))
  for (const kind of bench.kinds) yield* removeDirectory(openOptions(bench, kind, name, valueBytes).directory)
})
