/**
 * Two clusters take turns under the same load. A round has many slices of a fraction of a second, alternating between
 * the clusters. Other load on the machine changes more slowly, so both clusters run under the same conditions. All
 * processes, including the load generator, share the machine's cores.
 *
 * Processor time is counted for each cluster's processes over the whole round. So it includes the work that a cluster
 * does during the other's slices: copies that follow the answer, flushes, compactions.
 */
import * as Histogram from "../src/cli/Histogram.ts"
import * as LoadGenerator from "../src/cli/LoadGenerator.ts"
import type { Cluster, ClusterName } from "./clusters.ts"
import * as Driver from "./Driver.ts"
import { median, type Middle, ratios, ratioText } from "./pairs.ts"
import * as processorTime from "./processorTime.ts"
import { align } from "./storage/report.ts"

export interface Settings {
  readonly rounds: number
  /** Per cluster in each round. */
  readonly seconds: number
  readonly keyCount: number
  readonly valueSizes: ReadonlyArray<number>
  readonly connectionCounts: ReadonlyArray<number>
}

const operations = ["put", "get"] as const
type Operation = typeof operations[number]

/** Any seed will do; a fixed one gives all clusters, and every run, the same keys. */
const seed = 20260201
/** Shorter than changes in other load; much longer than a request, because connections drain at the end of a slice. */
const sliceMillis = 100
/** Enough requests to fully compile the hot path of three nodes; on a busy machine the time limit ends the warm-up. */
const warmUpRequests = 30_000
const warmUpMillisMax = 10_000

/** One round of one cluster. */
export interface Run {
  readonly cluster: ClusterName
  readonly operation: Operation
  readonly valueBytes: number
  readonly connections: number
  readonly round: number
  readonly requests: number
  readonly requestsPerSecond: number
  readonly p50Millis: number
  readonly p99Millis: number
  readonly maxMillis: number
  readonly errors: Readonly<Record<string, number>>
  /** Mean number of operations per message between nodes. */
  readonly batch: number | undefined
  /** Processor time of all nodes together, per request. */
  readonly cpuMicros: number | undefined
}

export interface Row {
  readonly operation: Operation
  readonly valueBytes: number
  readonly connections: number
  /** The median round of each cluster. */
  readonly sides: Readonly<Partial<Record<ClusterName, Run>>>
  /** Rondo's figure divided by the other cluster's. */
  readonly rateRatio: Middle | undefined
  readonly cpuRatio: Middle | undefined
}

/** A cluster on a busy machine refuses some writes, so the keys are written again until all are stored. */
const fillAttempts = 5

export const fill = async (
  { name, ports }: Cluster,
  keys: ReadonlyArray<string>,
  valueBytes: number,
  note: (text: string) => void
) => {
  for (let attempt = 1;; attempt++) {
    const outcome = await new Promise<LoadGenerator.Outcome>((resolve) =>
      LoadGenerator.run({
        targets: ports.map((port) => ({ host: "127.0.0.1", port })),
        connections: 64,
        operation: "put",
        valueBytes,
        keys,
        seed,
        query: "",
        warmUpMillis: 0,
        durationMillis: undefined
      }, resolve)
    )
    if (outcome.requests === keys.length) return
    const errors = JSON.stringify(outcome.errors)
    note(`  the ${name} cluster stored ${outcome.requests} of ${keys.length} keys: ${errors}`)
    if (attempt === fillAttempts) throw new Error(`the ${name} cluster did not store all keys: ${errors}`)
  }
}

/** A cluster and its load. */
interface Side {
  readonly cluster: Cluster
  readonly driver: Driver.Driver
}

const countsOf = async ({ batches, processIds }: Cluster) => ({
  batches: await batches(),
  cpuMicros: processorTime.ofProcesses(processIds)
})
type Counts = Awaited<ReturnType<typeof countsOf>>

const quotient = (above: number | undefined, below: number | undefined) =>
  above === undefined || below === undefined || below === 0 ? undefined : above / below

const difference = (after: number | undefined, before: number | undefined) =>
  after === undefined || before === undefined ? undefined : after - before

const runOf = (
  { histogram, errors, millis }: Driver.Recording,
  before: Counts,
  after: Counts
): Omit<Run, "cluster" | "operation" | "valueBytes" | "connections" | "round"> => ({
  requests: histogram.count,
  requestsPerSecond: histogram.count / millis * 1000,
  p50Millis: Histogram.percentileMicros(histogram, 0.5) / 1000,
  p99Millis: Histogram.percentileMicros(histogram, 0.99) / 1000,
  maxMillis: histogram.maxMicros / 1000,
  errors,
  batch: quotient(
    difference(after.batches?.items, before.batches?.items),
    difference(after.batches?.batches, before.batches?.batches)
  ),
  cpuMicros: quotient(difference(after.cpuMicros, before.cpuMicros), histogram.count)
})

const slices = async (sides: ReadonlyArray<Side>, count: number) => {
  for (let slice = 0; slice < count; slice++) {
    for (const { driver } of slice % 2 === 0 ? sides : sides.toReversed()) await driver.slice(sliceMillis)
  }
}

/** Runs all sides until the slowest has had enough requests. */
const warmUp = async (sides: ReadonlyArray<Side>) => {
  const endAt = performance.now() + warmUpMillisMax * sides.length
  const requests = sides.map(() => 0)
  while (Math.min(...requests) < warmUpRequests && performance.now() < endAt) {
    await slices(sides, 2)
    for (const [index, { driver }] of sides.entries()) requests[index]! += driver.take().histogram.count
  }
}

/** The first of the `clusters` is the one to compare with. */
export const run = async (
  clusters: ReadonlyArray<Cluster>,
  settings: Settings,
  firstRound: number,
  note: (text: string) => void
) => {
  const { connectionCounts, keyCount, rounds, seconds, valueSizes } = settings
  const keys = LoadGenerator.keysOf(seed, keyCount)
  const runs: Array<Run> = []
  for (const valueBytes of valueSizes) {
    note(`writing ${keyCount} keys with values of ${valueBytes} bytes`)
    for (const cluster of clusters) await fill(cluster, keys, valueBytes, note)
    for (const connections of connectionCounts) {
      for (const operation of operations) {
        const sides = clusters.map((cluster): Side => ({
          cluster,
          driver: Driver.make({ ports: cluster.ports, operation, connections, valueBytes, keys, seed })
        }))
        await warmUp(sides)
        for (let round = firstRound; round < firstRound + rounds; round++) {
          const before = await Promise.all(clusters.map(countsOf))
          await slices(sides, Math.ceil(seconds * 1000 / sliceMillis))
          const after = await Promise.all(clusters.map(countsOf))
          for (const [index, { cluster, driver }] of sides.entries()) {
            const figures = runOf(driver.take(), before[index]!, after[index]!)
            const measured = { cluster: cluster.name, operation, valueBytes, connections, round, ...figures }
            note(runText(measured))
            runs.push(measured)
          }
        }
        for (const { driver } of sides) driver.close()
      }
    }
  }
  return runs
}

const none = "-"
const cpuText = (micros: number | undefined): string => micros === undefined ? none : micros.toFixed(0)

const runText = ({ cluster, connections, cpuMicros, errors, operation, requestsPerSecond, round, valueBytes }: Run) =>
  `  ${operation} ${valueBytes} B, ${connections} connections, round ${round}, ${cluster.padEnd(7)} ` +
  `${Math.round(requestsPerSecond)}/s, ${cpuText(cpuMicros)} us per request` +
  (Object.keys(errors).length === 0 ? "" : `  errors ${JSON.stringify(errors)}`)

export const rowsOf = (runs: ReadonlyArray<Run>, { connectionCounts, valueSizes }: Settings): ReadonlyArray<Row> =>
  operations.flatMap((operation) =>
    valueSizes.flatMap((valueBytes) =>
      connectionCounts.map((connections) =>
        rowOf(
          runs.filter((run) =>
            run.operation === operation && run.valueBytes === valueBytes && run.connections === connections
          ),
          { operation, valueBytes, connections }
        )
      )
    )
  )

const names = ["bare", "against", "rondo"] as const

const rowOf = (runs: ReadonlyArray<Run>, row: Pick<Row, "operation" | "valueBytes" | "connections">): Row => {
  const of = (name: ClusterName) => runs.filter(({ cluster }) => cluster === name)
  const sides: Partial<Record<ClusterName, Run>> = {}
  for (const name of names) {
    const shown = median(of(name), ({ requestsPerSecond }) => requestsPerSecond)
    // The round with the median rate need not be the one with the median processor time.
    const cpu = median(of(name), ({ cpuMicros }) => cpuMicros ?? 0)
    if (shown !== undefined) sides[name] = { ...shown, cpuMicros: cpu?.cpuMicros }
  }
  const base = of(sides.bare === undefined ? "against" : "bare")
  return {
    ...row,
    sides,
    rateRatio: ratios(of("rondo"), base, ({ requestsPerSecond }) => requestsPerSecond),
    cpuRatio: ratios(of("rondo"), base, ({ cpuMicros }) => cpuMicros)
  }
}

export const table = (rows: ReadonlyArray<Row>): string => {
  const shown = names.filter((name) => rows.some(({ sides }) => sides[name] !== undefined))
  const side = (run: Run | undefined) =>
    run === undefined
      ? [none, none, none, none, none]
      : [
        Math.round(run.requestsPerSecond).toLocaleString("en-US"),
        run.p50Millis.toFixed(2),
        run.p99Millis.toFixed(2),
        cpuText(run.cpuMicros),
        run.batch === undefined ? none : run.batch.toFixed(1)
      ]
  const isPaired = shown.length > 1
  return align([
    [
      "",
      "value",
      "conns",
      ...shown.flatMap((name) => [`${name}/s`, "p50 ms", "p99 ms", "cpu us", "batch"]),
      ...(isPaired ? ["rate ratio", "cpu ratio"] : [])
    ],
    ...rows.map(({ connections, cpuRatio, operation, rateRatio, sides, valueBytes }) => [
      operation.toUpperCase(),
      `${valueBytes} B`,
      String(connections),
      ...shown.flatMap((name) => side(sides[name])),
      ...(isPaired ? [ratioText(rateRatio), ratioText(cpuRatio)] : [])
    ])
  ])
}
