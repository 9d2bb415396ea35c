/**
 * `npm run simulate`: many seeds, on all processors, with progress; on failure the seed, the promise, the faults that
 * it takes, and the command that repeats it.
 */
import { appendFileSync, writeFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { performance } from "node:perf_hooks"
import { parseArgs } from "node:util"
import { Worker } from "node:worker_threads"
import * as report from "./report.ts"
import { type FaultKind, faultKinds } from "./Schedule.ts"
import type { Options } from "./simulate.ts"
import * as Totals from "./Totals.ts"
import { essential, judge, type Verdict } from "./verdict.ts"

const fail = (sentence: string): never => {
  process.stderr.write(`${sentence}; see npm run simulate -- --help\n`)
  process.exit(2)
}

const parse = () =>
  parseArgs({
    options: {
      seeds: { type: "string", default: "100" },
      from: { type: "string", default: "1" },
      nodes: { type: "string", default: "5" },
      minutes: { type: "string", default: "1" },
      fault: { type: "string", multiple: true },
      keep: { type: "string" },
      jobs: { type: "string" },
      trace: { type: "string" },
      twice: { type: "boolean", default: false },
      "stop-after": { type: "string", default: "1" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false }
    }
  })

const flags = (() => {
  try {
    return parse().values
  } catch (error) {
    return fail(error instanceof Error ? error.message.split(".")[0]! : String(error))
  }
})()

const number = (name: string, text: string, least: number): number => {
  const value = Number(text)
  return Number.isFinite(value) && value >= least
    ? value
    : fail(`--${name} must be a number from ${least} up, not "${text}"`)
}

const kindsOf = (names: ReadonlyArray<string> | undefined): ReadonlyArray<FaultKind> => {
  const asked = (names ?? []).flatMap((name) => name.split(","))
  const unknown = asked.find((name) => !faultKinds.includes(name as FaultKind))
  if (unknown !== undefined) fail(`no such fault: "${unknown}"; there are ${faultKinds.join(", ")}`)
  return asked.length === 0 ? faultKinds : asked as ReadonlyArray<FaultKind>
}

if (flags.help) {
  process.stdout.write(report.help)
  process.exit(0)
}

const seeds = Math.floor(number("seeds", flags.seeds, 1))
const from = Math.floor(number("from", flags.from, 0))
const failuresMax = Math.floor(number("stop-after", flags["stop-after"], 1))
const jobs = Math.min(seeds, Math.floor(number("jobs", flags.jobs ?? String(availableParallelism()), 1)))
const optionsOf = (seed: number): Options => ({
  seed,
  nodes: Math.floor(number("nodes", flags.nodes, 3)),
  minutes: number("minutes", flags.minutes, 0.1),
  kinds: kindsOf(flags.fault),
  keep: flags.keep?.split(",").filter((place) => place !== "").map((place) => number("keep", place, 0))
})

const began = performance.now()
const elapsedSeconds = () => (performance.now() - began) / 1000
const totals = Totals.make()

/** A terminal gets a bar, a log file a line now and then. */
const secondsBetweenLines = 15
let lineDueAt = secondsBetweenLines

const take = (verdict: Verdict) => {
  Totals.add(totals, verdict)
  if (flags.json) return
  const line = report.progress(totals, seeds, elapsedSeconds())
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`)
  else if (elapsedSeconds() >= lineDueAt) {
    lineDueAt = elapsedSeconds() + secondsBetweenLines
    process.stderr.write(`${line}\n`)
  }
}

const finish = () => {
  if (!flags.json && process.stderr.isTTY) process.stderr.write("\r\x1b[K")
  for (const failure of flags.json ? [] : totals.failures) {
    const options = optionsOf(failure.seed)
    const keep = options.keep ?? essential(options, failure)
    process.stdout.write(report.failure(options, failure, keep))
  }
  process.stdout.write(
    flags.json
      ? `${JSON.stringify(report.asJson(totals, elapsedSeconds()))}\n`
      : report.summary(totals, elapsedSeconds())
  )
  process.exitCode = totals.failures.length === 0 ? 0 : 1
}

/** One run in this thread, with its trace in a file. */
const traced = (file: string) => {
  writeFileSync(file, "")
  let lines: Array<string> = []
  const flush = () => {
    appendFileSync(file, lines.join(""))
    lines = []
  }
  take(judge({
    ...optionsOf(from),
    sink: (line) => {
      lines.push(line)
      if (lines.length > 10_000) flush()
    }
  }))
  flush()
  finish()
}

const inWorkers = () => {
  let next = 0
  let stopped = false
  /** With `--twice`, the hash of the first run of a seed, until the second comes. */
  const hashes = new Map<number, string>()
  const runs = flags.twice ? 2 * seeds : seeds
  const seedOf = (run: number) => from + (flags.twice ? run >> 1 : run)
  let open = jobs
  for (let job = 0; job < jobs; job++) {
    const worker = new Worker(new URL("worker.ts", import.meta.url))
    const more = () => {
      if (stopped || next >= runs) {
        void worker.terminate()
        if (--open === 0) finish()
        return
      }
      worker.postMessage(optionsOf(seedOf(next++)))
    }
    worker.on("message", (verdict: Verdict) => {
      const before = hashes.get(verdict.seed)
      if (flags.twice && before === undefined) hashes.set(verdict.seed, verdict.traceHash)
      else take(before === undefined || before === verdict.traceHash ? verdict : report.unequal(verdict, before))
      stopped ||= totals.failures.length >= failuresMax
      more()
    })
    worker.on("error", (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
      process.exit(3)
    })
    more()
  }
}

if (flags.trace === undefined) inWorkers()
else traced(flags.trace)
