/**
 * Measures Rondo's storage engine beside LevelDB (the asynchronous calls of `classic-level`) in one process:
 *
 *     npm run bench:storage -- --help
 *
 * Absolute figures drift with the machine; the ratio of two neighbouring measurements drifts least, so the stores take
 * turns. Both get the same keys, values, memory and loads.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect, Layer, Option } from "effect"
import { CliConfig, Command, Flag, GlobalFlag } from "effect/cli"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { CommandFailed, report } from "../../src/cli/CommandFailed.ts"
import { Output, printLine } from "../../src/cli/Output.ts"
import * as flagsOf from "../flags.ts"
import * as against from "./against.ts"
import type { Bench } from "./Bench.ts"
import * as examining from "./examining.ts"
import * as filling from "./filling.ts"
import { leveldb } from "./levelStore.ts"
import { rssMaxBytes } from "./processFigures.ts"
import * as reading from "./reading.ts"
import { render, type Report } from "./report.ts"
import { rondo } from "./rondoStore.ts"
import { parseNames, type WorkloadName, workloads } from "./workloads.ts"

const mebibyte = 1024 * 1024
const valueSizes = { "100": [100], "1024": [1024], both: [100, 1024] }

const flags = {
  against: flagsOf.against("the engine of"),
  quick: Flag.Boolean("quick").pipe(
    Flag.withDescription("Run for about two minutes: 200,000 cells with values of 100 bytes"),
    Flag.withDefault(false)
  ),
  cells: flagsOf.positiveOr(1_000_000, "cells", "Cells to fill each store with"),
  value: Flag.Literals("value", ["100", "1024", "both"]).pipe(
    Flag.withDescription("Bytes per value"),
    Flag.withDefault("both")
  ),
  only: Flag.String("only").pipe(
    Flag.withDescription(`Workloads, separated by commas: ${workloads.map(({ name }) => name).join(", ")}`),
    Flag.withDefault(workloads.map(({ name }) => name).join(","))
  ),
  engine: Flag.Literals("engine", ["both", "rondo", "leveldb"]).pipe(
    Flag.withDescription("One store alone, or both side by side"),
    Flag.withDefault("both")
  ),
  inFlight: flagsOf.positiveOr(32, "in-flight", "Operations in flight, unless the name of the workload gives a number"),
  seconds: Flag.optional(flagsOf.positive("seconds", "Seconds per store for each time-bounded workload")),
  rounds: Flag.optional(flagsOf.positive("rounds", "Number of rounds that a store's seconds are divided into")),
  memtable: flagsOf.positiveOr(32, "memtable-mib", "Memtable of each store, in MiB"),
  cache: flagsOf.positiveOr(128, "cache-mib", "Block cache of each store, in MiB"),
  compression: Flag.Boolean("compression").pipe(
    Flag.withDescription("Let LevelDB compress its blocks"),
    Flag.withDefault(false)
  ),
  levelValues: Flag.Literals("leveldb-values", ["buffer", "utf8"]).pipe(
    Flag.withDescription("Type of the values that LevelDB returns: bytes as in Rondo, or text, which is cheaper"),
    Flag.withDefault("buffer")
  ),
  seed: flagsOf.positiveOr(20260201, "seed", "Equal seeds give equal keys and values"),
  directory: Flag.String("dir").pipe(
    Flag.withDescription("Create the stores in a new directory below this one, and remove it at the end"),
    Flag.withDefault(os.tmpdir())
  ),
  json: Flag.Boolean("json").pipe(Flag.withDescription("Print the results as JSON"), Flag.withDefault(false))
}

const measured = Effect.fnUntraced(function*(bench: Bench, valueBytes: number) {
  bench.note(`${bench.settings.cells.toLocaleString("en-US")} cells with values of ${valueBytes} bytes`)
  if (bench.wanted("fill-ordered")) yield* filling.ordered(bench, valueBytes)
  if (bench.wanted("fill-synced-32")) yield* filling.synced(bench, valueBytes, "fill-synced-32", 32)
  if (bench.wanted("fill-synced-128")) yield* filling.synced(bench, valueBytes, "fill-synced-128", 128)
  if (bench.wanted(...onTheFilled)) {
    yield* filling.random(bench, valueBytes)
    yield* reading.warm(bench, valueBytes)
    if (bench.wanted("read-cold")) yield* reading.cold(bench, valueBytes)
    yield* reading.overwriting(bench, valueBytes)
    if (bench.wanted("filter")) yield* examining.filter(bench, valueBytes)
  }
  if (bench.wanted("recovery")) yield* examining.recovery(bench, valueBytes)
  if (bench.wanted("memory")) yield* examining.memory(bench, valueBytes)
})

const elsewhere: ReadonlyArray<WorkloadName> = [
  "fill-ordered",
  "fill-synced-32",
  "fill-synced-128",
  "recovery",
  "memory"
]
const onTheFilled = workloads.map(({ name }) => name).filter((name) => !elsewhere.includes(name))

/** A child prints a few hundred kilobytes at most. */
const childOutputBytesMax = 64 * mebibyte

const childFlags = (given: ReadonlyArray<string>, fixed: ReadonlyArray<string>): ReadonlyArray<string> => [
  ...process.execArgv,
  fileURLToPath(import.meta.url),
  ...fixed,
  ...given,
  "--json"
]

const machine = () => ({
  node: process.version,
  system: `${os.type()} ${os.release()}`,
  processor: os.cpus()[0]?.model ?? "",
  cores: os.availableParallelism()
})

type Given = Command.Command.Config.Infer<typeof flags>

const quickly = (given: Given): Given => given.quick ? { ...given, cells: 200_000, value: "100" } : given

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Checkouts differ by a few percent, so a comparison of them takes more rounds than one of stores. */
const besideCheckout = Effect.fnUntraced(function*(
  given: Given,
  other: string,
  directory: string,
  { note, wanted }: Pick<Bench, "note" | "wanted">
) {
  const rounds = Option.getOrElse(given.rounds, () => 24)
  const seconds = Option.getOrElse(given.seconds, () => given.quick ? 4 : 12)
  const rows = yield* Effect.forEach(valueSizes[given.value], (valueBytes) =>
    against.run(
      { against: path.resolve(other), rondo: root },
      {
        directory,
        valueBytes,
        seed: given.seed,
        memtableBytes: given.memtable * mebibyte,
        cacheBytes: given.cache * mebibyte,
        cells: given.cells,
        inFlight: given.inFlight,
        rounds,
        seconds
      },
      wanted,
      note
    ))
  return given.json
    ? JSON.stringify({ machine: machine(), settings: given, rows: rows.flat() })
    : `\n${against.table(rows.flat())}\n\n` +
      `medians of ${rounds} rounds of ${(seconds / rounds).toFixed(2)} s, both engines in turns; ` +
      "cpu: processor time per operation\n" +
      "ratios: rondo / against, with the 95 % confidence interval of the median"
})

const besideLevel = Effect.fnUntraced(function*(
  given: Given,
  directory: string,
  { note, wanted }: Pick<Bench, "note" | "wanted">
) {
  const results: Report = { rows: [], measures: [], remarks: [], fills: [] }
  const seconds = Option.getOrElse(given.seconds, () => given.quick ? 1 : 3)
  const fixed = [
    ["--cells", given.cells],
    ["--in-flight", given.inFlight],
    ["--seconds", seconds],
    ["--memtable-mib", given.memtable],
    ["--cache-mib", given.cache],
    ["--leveldb-values", given.levelValues],
    ["--seed", given.seed],
    ["--dir", directory],
    given.compression ? ["--compression"] : []
  ].flat().map(String)
  const level = leveldb({ compression: given.compression, valueEncoding: given.levelValues })
  const suite: Bench = {
    settings: {
      cells: given.cells,
      inFlight: given.inFlight,
      seconds,
      rounds: Option.getOrElse(given.rounds, () => 3),
      memtableBytes: given.memtable * mebibyte,
      cacheBytes: given.cache * mebibyte,
      seed: given.seed
    },
    kinds: given.engine === "both" ? [rondo, level] : [given.engine === "rondo" ? rondo : level],
    directory,
    report: results,
    wanted,
    note,
    again: (more) =>
      JSON.parse(
        execFileSync(process.execPath, childFlags(more, fixed), {
          stdio: ["ignore", "pipe", "ignore"],
          maxBuffer: childOutputBytesMax
        }).toString()
      )
  }
  yield* Effect.forEach(valueSizes[given.value], (valueBytes) => measured(suite, valueBytes), { discard: true })
  return given.json
    ? JSON.stringify({ machine: machine(), settings: given, rssMaxBytes: rssMaxBytes(), ...results })
    : `\n${render(results)}`
})

const bench = Command.make("bench:storage", flags, (asked) =>
  report(Effect.gen(function*() {
    const given = quickly(asked)
    const output = yield* Output
    const names = parseNames(given.only)
    if ("unknown" in names) return yield* new CommandFailed({ message: `--only: unknown workload ${names.unknown}` })
    const directory = fs.mkdtempSync(path.join(given.directory, "rondo-bench-storage-"))
    const common = {
      wanted: (...wanted: ReadonlyArray<WorkloadName>) => wanted.some((name) => names.has(name)),
      note: (text: string) => Effect.runSync(output.notice(`${text}\n`))
    }
    const result = Option.match(given.against, {
      onNone: () => besideLevel(given, directory, common),
      onSome: (other) => besideCheckout(given, other, directory, common)
    })
    yield* printLine(
      yield* Effect.ensuring(result, Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true })))
    )
  }))).pipe(
    Command.withDescription(
      "Compare Rondo's storage engine with LevelDB, or with another checkout's. Stores are created in a new directory"
    ),
    Command.withExamples([
      { command: "npm run bench:storage", description: "Everything, 1 million cells: about half an hour" },
      {
        command: "npm run bench:storage -- --quick --against ../rondo-before",
        description: "What a change costs in processor time per operation: about two minutes"
      },
      {
        command: "npm run bench:storage -- --quick --only fill-random,read-random,scan",
        description: "A first look beside LevelDB"
      },
      {
        command: "npm run bench:storage -- --engine rondo --cells 10000000 --value 100 --only fill-random",
        description: "Memory and pauses while one large store fills"
      },
      {
        command: "npm run --silent bench:storage -- --json",
        description: "For programs; progress goes to standard error"
      }
    ])
  )

Command.run(bench, { version: "0" }).pipe(
  Effect.provide(Layer.mergeAll(
    Output.layer,
    CliConfig.layer({ builtIns: [GlobalFlag.Help] }),
    NodeServices.layer
  )),
  NodeRuntime.runMain
)
