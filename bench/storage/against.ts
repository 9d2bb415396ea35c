/**
 * Compares this checkout's engine with another's. Each runs in its own process, in turns of a tenth of a second. Ratios
 * are taken within a round. The processor time of a round includes a side's background work during the other's turns.
 */
import { Effect } from "effect"
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import { median, type Middle, ratios, ratioText } from "../pairs.ts"
import * as points from "./points.ts"
import { align, latency, rate } from "./report.ts"
import type { Request, SideOptions, Slice, Taken } from "./side.ts"
import { byName, type WorkloadName } from "./workloads.ts"

export interface Settings extends SideOptions {
  readonly rounds: number
  /** Per side, over all rounds. */
  readonly seconds: number
}

export type SideName = "against" | "rondo"

export interface Run {
  readonly workload: WorkloadName
  readonly side: SideName
  readonly round: number
  readonly perSecond: number
  readonly p99Micros: number
  /** Processor time per operation, over all threads. */
  readonly cpuMicros: number
}

export interface Row {
  readonly workload: WorkloadName
  readonly valueBytes: number
  readonly sides: Readonly<Record<SideName, Omit<Run, "workload" | "side" | "round">>>
  readonly rateRatio: Middle | undefined
  readonly cpuRatio: Middle | undefined
}

interface Side {
  readonly name: SideName
  readonly ask: <A>(request: Request) => Effect.Effect<A>
}

const startSide = (name: SideName, root: string, options: SideOptions) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const child = fork(fileURLToPath(new URL("side.ts", import.meta.url)), [root, JSON.stringify(options)])
        const ended = new Promise<never>((_, reject) =>
          child.once("exit", (code) => reject(new Error(`the engine of ${root} exited with code ${code}`)))
        )
        const next = () => Promise.race([ended, new Promise<unknown>((resolve) => void child.once("message", resolve))])
        await next()
        return { child, next }
      }),
      ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
    ),
    ({ child, next }): Side => ({
      name,
      ask: <A>(request: Request) =>
        Effect.promise(() => {
          const answer = next()
          child.send(request)
          return answer as Promise<A>
        })
    })
  )

const sliceMillis = 100
/** Long enough to compile the hot path and to load part of the blocks into the caches. */
const warmUpMillis = 1500

const runOf = ({ cpuMicros, millis, operations, p99Micros }: Taken) => ({
  perSecond: operations / millis * 1000,
  p99Micros,
  cpuMicros: cpuMicros / operations
})

/** Runs both sides in turns; returns true when neither has work left. */
const slices = Effect.fnUntraced(function*(sides: ReadonlyArray<Side>, name: WorkloadName, millis: number) {
  let isDone = true
  for (let slice = 0; slice < Math.ceil(millis / sliceMillis); slice++) {
    isDone = true
    for (const { ask } of slice % 2 === 0 ? sides : sides.toReversed()) {
      const answer = yield* ask<Slice>({ ask: "slice", name, millis: sliceMillis })
      isDone &&= answer.isDone
    }
  }
  return isDone
})

/** A workload that ends by count runs as many rounds as it needs. */
const workload = Effect.fnUntraced(function*(
  sides: ReadonlyArray<Side>,
  name: WorkloadName,
  { rounds, seconds }: Settings
) {
  const roundMillis = seconds * 1000 / rounds
  const isFill = name === "fill-random"
  const runs: Array<Run> = []
  if (!isFill) yield* slices(sides, name, warmUpMillis)
  yield* Effect.forEach(sides, ({ ask }) => ask<Taken>({ ask: "take" }))
  for (let round = 0, isDone = false; isFill ? !isDone : round < rounds; round++) {
    isDone = yield* slices(sides, name, roundMillis)
    for (const { ask, name: side } of sides) {
      const taken = yield* ask<Taken>({ ask: "take" })
      if (taken.wrongCells > 0) throw new Error(`${name}, ${side}: ${taken.wrongCells} cells too many or too few`)
      if (taken.operations > 0) runs.push({ workload: name, side, round, ...runOf(taken) })
    }
  }
  yield* Effect.forEach(sides, ({ ask }) => ask({ ask: "settle" }))
  return runs
})

const rowOf = (name: WorkloadName, valueBytes: number, runs: ReadonlyArray<Run>): Row => {
  const of = (side: SideName) => runs.filter((run) => run.side === side)
  const middleOf = (side: SideName) => {
    const by = (figure: (run: Run) => number) => figure(median(of(side), figure)!)
    return {
      perSecond: by(({ perSecond }) => perSecond),
      p99Micros: by(({ p99Micros }) => p99Micros),
      cpuMicros: by(({ cpuMicros }) => cpuMicros)
    }
  }
  return {
    workload: name,
    valueBytes,
    sides: { against: middleOf("against"), rondo: middleOf("rondo") },
    rateRatio: ratios(of("rondo"), of("against"), ({ perSecond }) => perSecond),
    cpuRatio: ratios(of("rondo"), of("against"), ({ cpuMicros }) => cpuMicros)
  }
}

/** The wanted workloads that a comparison can run. */
const named = ({ cells, inFlight }: Settings, wanted: (name: WorkloadName) => boolean): ReadonlyArray<WorkloadName> => {
  const onTheFilled = [...points.reads(inFlight, cells), ...points.writes(inFlight)]
    .map(({ name }) => name)
    .filter(wanted)
  return [
    ...(onTheFilled.length > 0 || wanted("fill-random") ? ["fill-random" as const] : []),
    ...onTheFilled,
    ...points.syncedWrites.map(({ name }) => name).filter(wanted)
  ]
}

export const run = (
  roots: Readonly<Record<SideName, string>>,
  settings: Settings,
  wanted: (name: WorkloadName) => boolean,
  note: (text: string) => void
) =>
  Effect.scoped(Effect.gen(function*() {
    const sides = yield* Effect.forEach(["against", "rondo"] as const, (name) =>
      startSide(name, roots[name], { ...settings, directory: `${settings.directory}/${settings.valueBytes}-${name}` }))
    const rows: Array<Row> = []
    for (const name of named(settings, wanted)) {
      const row = rowOf(name, settings.valueBytes, yield* workload(sides, name, settings))
      note(`  ${byName(name).title}, ${settings.valueBytes} B: processor time ${ratioText(row.cpuRatio)}`)
      rows.push(row)
    }
    return rows
  }))

export const table = (rows: ReadonlyArray<Row>): string =>
  align([
    ["", "value", "against/s", "p99", "cpu us", "rondo/s", "p99", "cpu us", "rate ratio", "cpu ratio"],
    ...rows.map(({ cpuRatio, rateRatio, sides, valueBytes, workload }) => [
      byName(workload).title,
      `${valueBytes} B`,
      ...(["against", "rondo"] as const).flatMap((name) => [
        rate(sides[name].perSecond),
        latency(sides[name].p99Micros),
        sides[name].cpuMicros.toFixed(2)
      ]),
      ratioText(rateRatio),
      ratioText(cpuRatio)
    ])
  ])
