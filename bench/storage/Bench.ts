/**
 * Shared by all workloads: settings, the stores to compare, and turns, which give both stores the same conditions.
 *
 * One store works at a time. Its background work has to end before the other begins.
 */
import { Effect } from "effect"
import * as fs from "node:fs"
import { type Figures, figures, type Load, type Recording, recording } from "./Load.ts"
import { cpuTimes, processors } from "./processFigures.ts"
import type { Measure, Report } from "./report.ts"
import { rate, rowOf } from "./report.ts"
import type { Kind, Name, OpenOptions, Store } from "./Store.ts"
import { byName, type WorkloadName } from "./workloads.ts"

export interface Settings {
  readonly cells: number
  readonly inFlight: number
  /** Per store and time-bounded workload, over all rounds. */
  readonly seconds: number
  readonly rounds: number
  readonly memtableBytes: number
  readonly cacheBytes: number
  readonly seed: number
}

export interface Bench {
  readonly settings: Settings
  readonly kinds: ReadonlyArray<Kind>
  readonly directory: string
  readonly report: Report
  readonly wanted: (...names: ReadonlyArray<WorkloadName>) => boolean
  readonly note: (text: string) => void
  /** Runs this program with other flags in a separate process; returns its JSON output. */
  readonly again: (flags: ReadonlyArray<string>) => unknown
}

/** Results by store. */
export type Both<A> = Partial<Record<Name, A>>

export const openOptions = (bench: Bench, kind: Kind, part: string, valueBytes: number): OpenOptions => ({
  directory: `${bench.directory}/${part}-${valueBytes}-${kind.name}`,
  valueBytes,
  seed: bench.settings.seed,
  synced: false,
  memtableBytes: bench.settings.memtableBytes,
  cacheBytes: bench.settings.cacheBytes
})

export const removeDirectory = (directory: string): Effect.Effect<void> =>
  Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))

/** Runs a load and adds its time to the recording. */
export const timed = <A>(into: Recording, work: Effect.Effect<A>): Effect.Effect<A> =>
  Effect.suspend(() => {
    const beganAt = performance.now()
    const before = cpuTimes()
    return Effect.tap(work, () =>
      Effect.sync(() => {
        const after = cpuTimes()
        const ownMillis = after.ownMillis - before.ownMillis
        into.millis += performance.now() - beganAt
        into.cpuMillis += ownMillis
        into.othersMillis += Math.max(0, after.allMillis - before.allMillis - ownMillis)
      }))
  })

const settleCheckMillis = 250
const settleChecks = 3
const settleMillisMax = 180_000
/** Share of one core: an idle store takes less, a store that compacts takes much more. */
const restingCpuShare = 0.05

/** Waits until the process has no background work left; returns the milliseconds that this took. */
export const settle: Effect.Effect<number> = Effect.gen(function*() {
  const beganAt = performance.now()
  let quietChecks = 0
  let restedAt = beganAt
  while (quietChecks < settleChecks && performance.now() - beganAt < settleMillisMax) {
    const before = process.cpuUsage()
    const checkedAt = performance.now()
    yield* Effect.sleep(settleCheckMillis)
    const { system, user } = process.cpuUsage(before)
    if ((system + user) / 1000 / (performance.now() - checkedAt) < restingCpuShare) quietChecks++
    else {
      quietChecks = 0
      restedAt = performance.now()
    }
  }
  return restedAt - beganAt
})

let turns = 0

/** The stores, in alternating order from call to call. */
export const inTurn = <A>(stores: ReadonlyArray<A>): ReadonlyArray<A> =>
  turns++ % 2 === 0 ? stores : stores.toReversed()

/** Long enough to compile the hot path and to load part of the blocks into the caches. */
const warmUpMillis = 1000

/** A separately measured part of a workload, such as the reads beside writes. */
export interface Part {
  readonly workload: { readonly name: string; readonly title: string; readonly aim?: number }
  readonly load: (into: Recording, millis: number, round: number) => Load
  /** Cells that every operation must find or write; any other number is an error of the benchmark. */
  readonly cells?: number
}

export interface Contest {
  readonly valueBytes: number
  readonly parts: ReadonlyArray<Part>
  /** Starts together with the loads; the slice ends when all have ended. */
  readonly beside?: (store: Store) => Effect.Effect<void>
  readonly writes?: boolean
}

const slice = (
  store: Store,
  { beside, parts }: Contest,
  into: ReadonlyArray<Recording>,
  millis: number,
  round: number
) =>
  Effect.gen(function*() {
    const loads = parts.map((part, index) => timed(into[index]!, store.drive(part.load(into[index]!, millis, round))))
    const all = beside === undefined ? loads : [...loads, beside(store)]
    yield* Effect.all(all, { concurrency: "unbounded", discard: true })
  })

/** Runs rounds of all stores in turn and adds rows to the report. */
export const contest = Effect.fnUntraced(function*(bench: Bench, stores: ReadonlyArray<Store>, given: Contest) {
  const { note, report, settings } = bench
  const sliceMillis = settings.seconds * 1000 / settings.rounds
  const settled = given.writes === true ? settle : Effect.void
  const recordings = new Map(stores.map((store) => [store.name, given.parts.map(recording)]))
  for (const store of inTurn(stores)) {
    yield* slice(store, given, given.parts.map(recording), warmUpMillis, -1)
    yield* settled
  }
  for (let round = 0; round < settings.rounds; round++) {
    for (const store of inTurn(stores)) {
      yield* slice(store, given, recordings.get(store.name)!, sliceMillis, round)
      yield* settled
    }
  }
  for (const [index, part] of given.parts.entries()) {
    const both: Both<Figures> = {}
    for (const { name } of stores) {
      const recorded = recordings.get(name)![index]!
      both[name] = figures(recorded, processors)
      noteFigures(note, part.workload.title, given.valueBytes, name, both[name])
      if (part.cells !== undefined && recorded.cells !== recorded.operations * part.cells) {
        report.remarks.push(
          `WRONG: ${part.workload.title}, ${name}: ${recorded.operations} operations returned ${recorded.cells} cells`
        )
      }
    }
    report.rows.push(rowOf(part.workload, given.valueBytes, both))
  }
})

export const noteFigures = (
  note: Bench["note"],
  title: string,
  valueBytes: number,
  name: Name,
  { p99Micros, perSecond }: Figures
): void =>
  note(
    `  ${title}, ${valueBytes} B, ${name.padEnd(7)} ${rate(perSecond).padStart(9)}/s  p99 ${Math.round(p99Micros)} us`
  )

/** Adds a measure with a figure per store. */
export const addMeasure = (
  bench: Bench,
  name: WorkloadName,
  measure: Omit<Measure, "workload" | "rondo" | "leveldb" | "title" | "below"> & {
    readonly title: string
    readonly below?: number
  },
  both: Both<number>
): void => {
  bench.report.measures.push({
    workload: name,
    title: `${byName(name).title}: ${measure.title}`,
    valueBytes: measure.valueBytes,
    unit: measure.unit,
    rondo: both.rondo,
    leveldb: both.leveldb,
    below: measure.below
  })
}
