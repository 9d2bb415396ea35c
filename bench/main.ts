/**
 * Measures Rondo beside a bare `node:http` store that replicates the same way (`bareNode.ts`), or beside another
 * checkout of Rondo. `npm run bench -- --help` lists the command lines and says what each is for.
 *
 * To see where a node spends its time, profile the nodes and open one of the files in a browser's developer tools:
 *
 *     RONDO_BENCH_NODE_OPTIONS="--cpu-prof --cpu-prof-dir=/tmp/profiles" node bench/main.ts --quick --only rondo
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect, Layer, Option } from "effect"
import { CliConfig, Command, Flag, GlobalFlag } from "effect/cli"
import * as path from "node:path"
import { type Cluster, startBare, startRondo } from "./clusters.ts"
import { against, positive, positiveOr } from "./flags.ts"
import * as soak from "./soak.ts"
import * as soakReport from "./soakReport.ts"
import * as turns from "./turns.ts"

const flags = {
  against: against("the nodes of"),
  quick: Flag.Boolean("quick").pipe(Flag.withDescription("Run for about two minutes"), Flag.withDefault(false)),
  starts: Flag.optional(positive("starts", "How often the clusters are started anew")),
  rounds: Flag.optional(positive("rounds", "Number of rounds after each start")),
  seconds: Flag.optional(positive("seconds", "Seconds per cluster in each round")),
  only: Flag.Literals("only", ["both", "bare", "rondo"]).pipe(
    Flag.withDescription("Measure one cluster alone"),
    Flag.withDefault("both")
  ),
  soak: positive("soak", "Run writers and readers on one cluster for N minutes, and print its memory over time").pipe(
    Flag.optional
  ),
  writers: positiveOr(24, "writers", "Writing connections of a soak"),
  readers: positiveOr(24, "readers", "Reading connections of a soak"),
  keys: positiveOr(50_000, "keys", "Number of keys in a soak"),
  value: positiveOr(400, "value", "Bytes per value in a soak"),
  json: Flag.Boolean("json").pipe(Flag.withDescription("Print the results as JSON"), Flag.withDefault(false))
}

/**
 * Many rounds make a ratio reliable; long rounds include their share of flushes and compactions. Two clusters of one
 * checkout, side by side, differed by 8 % and more for as long as they ran, so a verdict needs several starts.
 */
const roundsOf = (isQuick: boolean, isPaired: boolean) =>
  isPaired
    ? isQuick ? { starts: 1, rounds: 21, seconds: 1 } : { starts: 4, rounds: 8, seconds: 2 }
    : isQuick
    ? { starts: 1, rounds: 1, seconds: 2 }
    : { starts: 1, rounds: 3, seconds: 6 }

const running = (start: () => Promise<Cluster>) =>
  Effect.acquireRelease(Effect.promise(start), ({ stop }) => Effect.promise(stop))

const startAll = (other: string | undefined, only: "both" | "bare" | "rondo") =>
  Effect.all([
    ...(other !== undefined
      ? [running(() => startRondo(path.resolve(other)))]
      : only === "rondo"
      ? []
      : [running(startBare)]),
    ...(only === "bare" ? [] : [running(() => startRondo())])
  ])

const noteUnless = (isQuiet: boolean) => (text: string) => {
  if (!isQuiet) process.stderr.write(`${text}\n`)
}

const legend = (starts: number, { rounds, seconds }: turns.Settings, [base, subject]: ReadonlyArray<string>) =>
  [
    `medians of ${starts * rounds} rounds of ${seconds} s` +
    (starts === 1 ? "" : `, ${rounds} after each of ${starts} starts of the clusters`),
    "cpu: processor time of all nodes per request, in microseconds",
    ...(subject === undefined ? [] : [
      `ratios: ${subject} / ${base!}, with the 95 % confidence interval of the median`,
      "other load on the machine changes rates a lot and processor time little: trust the cpu ratio"
    ]),
    ...(base === "bare" ? ["Rondo syncs every write to disk, the bare store keeps everything in memory"] : [])
  ].join("\n")

type Given = Command.Command.Config.Infer<typeof flags>

const soaked = Effect.fnUntraced(function*(given: Given, minutes: number) {
  const settings: soak.Settings = {
    minutes,
    writers: given.writers,
    readers: given.readers,
    keyCount: given.keys,
    valueBytes: given.value
  }
  const cluster = yield* running(() =>
    startRondo(Option.getOrUndefined(Option.map(given.against, (at) => path.resolve(at))))
  )
  const samples = yield* Effect.promise(() => soak.run(cluster, settings, noteUnless(given.json)))
  process.stdout.write(`${given.json ? JSON.stringify({ ...settings, samples }) : `\n${soakReport.render(samples)}`}\n`)
})

const compared = Effect.fnUntraced(function*(given: Given) {
  const other = Option.getOrUndefined(given.against)
  const usual = roundsOf(given.quick, other !== undefined)
  const starts = Option.getOrElse(given.starts, () => usual.starts)
  const settings: turns.Settings = {
    rounds: Option.getOrElse(given.rounds, () => usual.rounds),
    seconds: Option.getOrElse(given.seconds, () => usual.seconds),
    keyCount: given.quick ? 20_000 : 100_000,
    valueSizes: given.quick && other !== undefined ? [100] : [100, 1024],
    connectionCounts: given.quick ? [other === undefined ? 128 : 32] : [32, 128]
  }
  const note = noteUnless(given.json)
  const runs: Array<turns.Run> = []
  for (let start = 1; start <= starts; start++) {
    if (starts > 1) note(`start ${start} of ${starts}`)
    const firstRound = (start - 1) * settings.rounds + 1
    const begun = yield* Effect.scoped(
      Effect.flatMap(
        startAll(other, given.only),
        (clusters) => Effect.promise(() => turns.run(clusters, settings, firstRound, note))
      )
    )
    runs.push(...begun)
  }
  const rows = turns.rowsOf(runs, settings)
  const names = [...new Set(runs.map(({ cluster }) => cluster))]
  const failed = runs.filter((run) => Object.keys(run.errors).length > 0).length
  process.stdout.write(
    given.json
      ? `${JSON.stringify({ starts, ...settings, against: other, rows, runs })}\n`
      : `\n${turns.table(rows)}\n\n${legend(starts, settings, names)}\n` +
        (failed === 0 ? "no errors\n" : `errors in ${failed} of ${runs.length} rounds, see above\n`)
  )
})

const bench = Command.make("bench", flags, (given) =>
  Effect.scoped(Option.match(given.soak, {
    onNone: () => compared(given),
    onSome: (minutes) => soaked(given, minutes)
  }))).pipe(
    Command.withDescription("Compare three nodes of Rondo with a bare node:http store, or with another checkout"),
    Command.withExamples([
      { command: "npm run bench", description: "Compare with the bare store: about six minutes" },
      {
        command: "npm run bench -- --quick --against ../rondo-before",
        description: "What a change costs in processor time per request: about two minutes"
      },
      {
        command: "npm run bench -- --against ../rondo-before",
        description: "The same with all value sizes and connection counts, for a verdict: about half an hour"
      },
      {
        command: "npm run bench -- --soak 30",
        description: "Is memory flat? 24 writers and 24 readers for half an hour; with --against DIR, on that checkout"
      },
      {
        command: "TMPDIR=/dev/shm npm run bench -- --soak 30",
        description: "The same with the nodes' data in memory: what the store itself makes a request wait"
      },
      { command: "npm run --silent bench -- --json", description: "Every round, for programs" }
    ])
  )

Command.run(bench, { version: "0" }).pipe(
  Effect.provide(Layer.merge(CliConfig.layer({ builtIns: [GlobalFlag.Help] }), NodeServices.layer)),
  NodeRuntime.runMain
)
