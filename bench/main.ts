/**
 * Rondo beside a bare `node:http` store that replicates the same way (`bareNode.ts`), on this machine, in one run:
 *
 *     npm run bench -- [--quick] [--json] [--rounds N] [--seconds S] [--only bare|rondo]
 *
 * Figures drift with the machine and with what else it does; the ratio of two neighbouring measurements drifts least.
 * So the two clusters take turns in short rounds, the order alternating, and the median round counts. All processes,
 * the load generator's too, share the machine's cores.
 *
 * To see where a node's time goes, profile the nodes and open one of the files in a browser's developer tools:
 *
 *     RONDO_BENCH_NODE_OPTIONS="--cpu-prof --cpu-prof-dir=/tmp/profiles" node bench/main.ts --quick --only rondo
 */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import type { Outcome } from "../src/cli/LoadGenerator.ts"
import { type Cluster, startBare, startRondo } from "./clusters.ts"

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    rounds: { type: "string" },
    seconds: { type: "string" },
    only: { type: "string" }
  }
})

const rounds = Number(flags.rounds ?? (flags.quick ? 1 : 3))
/** Long enough for flushes and compactions to take their share of most rounds. */
const seconds = Number(flags.seconds ?? (flags.quick ? 2 : 6))
const keyCount = flags.quick ? 20_000 : 100_000
const valueSizes = [100, 1024]
const connectionCounts = flags.quick ? [128] : [32, 128]
const operations = ["put", "get"] as const
/** Any seed will do; a fixed one sends both clusters, and every run, the same keys. */
const seed = 20260201
/** Long enough for the first compilation of the hot path; the loading of the keys has done most of it. */
const warmUpMillis = 700

type Operation = typeof operations[number]

interface Run extends Outcome {
  readonly cluster: Cluster["name"]
  readonly operation: Operation
  readonly valueBytes: number
  readonly connections: number
  readonly round: number
  readonly batch: number | undefined
}

interface Row {
  readonly operation: Operation
  readonly valueBytes: number
  readonly connections: number
  readonly bare: Outcome & { readonly batch: number | undefined } | undefined
  readonly rondo: Outcome & { readonly batch: number | undefined } | undefined
  readonly ratio: number | undefined
}

const load = (cluster: Cluster, options: {
  readonly operation: Operation
  readonly connections: number
  readonly valueBytes: number
  readonly durationMillis?: number
  readonly round?: number
}): Promise<Outcome> =>
  new Promise((resolve, reject) => {
    const parameters = {
      targets: cluster.ports.map((port) => ({ host: "127.0.0.1", port })),
      query: "",
      warmUpMillis: options.durationMillis === undefined ? 0 : warmUpMillis,
      ...options,
      seed: seed + (options.round ?? 0),
      keyCount,
      keySeed: seed
    }
    execFile(
      process.execPath,
      [
        "--disable-warning=ExperimentalWarning",
        fileURLToPath(new URL("load.ts", import.meta.url)),
        JSON.stringify(parameters)
      ],
      (error, stdout) => error === null ? resolve(JSON.parse(stdout) as Outcome) : reject(error)
    )
  })

const note = (text: string) => {
  if (!flags.json) process.stderr.write(`${text}\n`)
}

/** A machine that is busy with other work refuses some, so what is not whole is written again. */
const fillAttempts = 5

const fill = async (cluster: Cluster, valueBytes: number) => {
  for (let attempt = 1;; attempt++) {
    const outcome = await load(cluster, { operation: "put", connections: 64, valueBytes })
    if (outcome.requests === keyCount) return
    const errors = JSON.stringify(outcome.errors)
    note(`  the ${cluster.name} cluster took ${outcome.requests} of ${keyCount} keys: ${errors}`)
    if (attempt === fillAttempts) throw new Error(`the ${cluster.name} cluster does not take all keys: ${errors}`)
  }
}

const measure = async (
  cluster: Cluster,
  operation: Operation,
  valueBytes: number,
  connections: number,
  round: number
) => {
  const before = await cluster.batches()
  const outcome = await load(cluster, { operation, valueBytes, connections, round, durationMillis: seconds * 1000 })
  const after = await cluster.batches()
  const batch = before === undefined || after === undefined || after.batches === before.batches
    ? undefined
    : (after.items - before.items) / (after.batches - before.batches)
  note(
    `  ${operation} ${valueBytes} B, ${connections} connections, round ${round + 1}, ${cluster.name.padEnd(5)} ` +
      `${Math.round(outcome.requestsPerSecond)}/s` +
      (Object.keys(outcome.errors).length === 0 ? "" : `  errors ${JSON.stringify(outcome.errors)}`)
  )
  return { ...outcome, cluster: cluster.name, operation, valueBytes, connections, round, batch } satisfies Run
}

const median = <A>(items: ReadonlyArray<A>, by: (item: A) => number): A | undefined =>
  items.toSorted((left, right) => by(left) - by(right))[Math.floor((items.length - 1) / 2)]

const rowOf = (runs: ReadonlyArray<Run>, operation: Operation, valueBytes: number, connections: number): Row => {
  const mine = runs.filter((run) =>
    run.operation === operation && run.valueBytes === valueBytes && run.connections === connections
  )
  const of = (name: Cluster["name"]) => mine.filter(({ cluster }) => cluster === name)
  const ratios = of("rondo").flatMap((rondo) => {
    const bare = of("bare").find(({ round }) => round === rondo.round)
    return bare === undefined ? [] : [rondo.requestsPerSecond / bare.requestsPerSecond]
  })
  return {
    operation,
    valueBytes,
    connections,
    bare: median(of("bare"), ({ requestsPerSecond }) => requestsPerSecond),
    rondo: median(of("rondo"), ({ requestsPerSecond }) => requestsPerSecond),
    ratio: median(ratios, (ratio) => ratio)
  }
}

const table = (rows: ReadonlyArray<Row>): string => {
  const side = (outcome: Row["bare"]) =>
    outcome === undefined
      ? ["-", "-", "-", "-"]
      : [
        Math.round(outcome.requestsPerSecond).toLocaleString("en-US"),
        outcome.p50Millis.toFixed(2),
        outcome.p99Millis.toFixed(2),
        outcome.batch === undefined ? "-" : outcome.batch.toFixed(1)
      ]
  const head = [
    "",
    "value",
    "conns",
    "bare/s",
    "p50 ms",
    "p99 ms",
    "batch",
    "rondo/s",
    "p50 ms",
    "p99 ms",
    "batch",
    "ratio"
  ]
  const cells = [
    head,
    ...rows.map((row) => [
      row.operation.toUpperCase(),
      `${row.valueBytes} B`,
      String(row.connections),
      ...side(row.bare),
      ...side(row.rondo),
      row.ratio === undefined ? "-" : row.ratio.toFixed(2)
    ])
  ]
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)))
  return cells.map((row) => row.map((text, column) => text.padStart(widths[column]!)).join("  ")).join("\n")
}

const clusters: Array<Cluster> = []
try {
  if (flags.only !== "rondo") clusters.push(await startBare())
  if (flags.only !== "bare") clusters.push(await startRondo())
  const runs: Array<Run> = []
  for (const valueBytes of valueSizes) {
    note(`writing ${keyCount} keys with values of ${valueBytes} bytes`)
    for (const cluster of clusters) await fill(cluster, valueBytes)
    for (const connections of connectionCounts) {
      for (let round = 0; round < rounds; round++) {
        for (const operation of operations) {
          for (const cluster of round % 2 === 0 ? clusters : clusters.toReversed()) {
            runs.push(await measure(cluster, operation, valueBytes, connections, round))
          }
        }
      }
    }
  }
  const rows = operations.flatMap((operation) =>
    valueSizes.flatMap((valueBytes) =>
      connectionCounts.map((connections) => rowOf(runs, operation, valueBytes, connections))
    )
  )
  const errors = runs.filter((run) => Object.keys(run.errors).length > 0)
  process.stdout.write(
    flags.json
      ? `${JSON.stringify({ rounds, seconds, keyCount, rows, runs })}\n`
      : `\n${
        table(rows)
      }\n\nmedian of ${rounds} rounds of ${seconds} s; Rondo syncs every write to disk, the bare store keeps it in memory\n` +
        (errors.length === 0 ? "no errors\n" : `${errors.length} of ${runs.length} runs had errors, see above\n`)
  )
} finally {
  await Promise.all(clusters.map((cluster) => cluster.stop()))
}
