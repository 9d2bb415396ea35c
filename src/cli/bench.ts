/** `rondo bench`: loads a running cluster and measures it. */
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { failed } from "./CommandFailed.ts"
import * as flags from "./flags.ts"
import * as LoadGenerator from "./LoadGenerator.ts"
import { print } from "./Output.ts"
import { count } from "./Tally.ts"
import * as target from "./target.ts"

const run = (load: LoadGenerator.Load): Effect.Effect<LoadGenerator.Outcome> =>
  Effect.callback((resume) => {
    const stop = LoadGenerator.run(load, (outcome) => resume(Effect.succeed(outcome)))
    return Effect.sync(stop)
  })

const millis = (value: number): string => `${value.toFixed(value < 10 ? 2 : 1)} ms`

export const render = (load: LoadGenerator.Load, outcome: LoadGenerator.Outcome): string => {
  const errors = Object.entries(outcome.errors)
  return [
    `${load.operation}, values of ${load.valueBytes} bytes, ${load.connections} connections, ` +
    `${outcome.seconds.toFixed(1)} s`,
    `  ${count(outcome.requestsPerSecond)} requests/s (${count(outcome.requests)} in all)`,
    `  p50 ${millis(outcome.p50Millis)}   p99 ${millis(outcome.p99Millis)}   max ${millis(outcome.maxMillis)}`,
    errors.length === 0
      ? "  no errors"
      : `  errors: ${errors.map(([kind, times]) => `${kind} ${count(times)}`).join(", ")}`
  ].join("\n")
}

export const bench = Command.make(
  "bench",
  {
    url: target.url,
    op: Flag.Literals("op", ["put", "get", "mixed"]).pipe(
      Flag.withDescription("What to send; get and mixed first write every key (default put)"),
      Flag.withDefault("put")
    ),
    connections: flags.integer("connections", "Connections, spread over the nodes of --url", 32),
    duration: flags.integer("duration", "Seconds to measure, after one second of warm-up", 10),
    valueBytes: flags.integer("value-bytes", "Bytes of each value", 100),
    keys: flags.integer("keys", "Distinct keys, all under bench/", 10_000),
    seed: flags.integer("seed", "Equal seeds send equal keys", 1),
    w: target.writeQuorum,
    r: target.readQuorum,
    json: flags.json
  },
  Effect.fnUntraced(function*(given) {
    const urls = yield* target.parseUrls(given.url)
    const load: LoadGenerator.Load = {
      targets: urls.map((url) => ({ host: new URL(url).hostname, port: Number(new URL(url).port || 80) })),
      connections: given.connections,
      operation: given.op,
      valueBytes: given.valueBytes,
      keys: LoadGenerator.keysOf(given.seed, given.keys),
      seed: given.seed,
      // A node refuses an option that its method does not know, so a mix takes neither.
      query: given.op === "put" ? target.query({ w: given.w }) : given.op === "get" ? target.query({ r: given.r }) : "",
      warmUpMillis: 1000,
      durationMillis: given.duration * 1000
    }
    if (given.op !== "put") {
      const filled = yield* run({ ...load, operation: "put", query: "", warmUpMillis: 0, durationMillis: undefined })
      if (filled.requests < load.keys.length) {
        return yield* failed(`could not write the keys to read: ${JSON.stringify(filled.errors)}`)
      }
    }
    const outcome = yield* run(load)
    yield* print(given.json, outcome, render(load, outcome))
    if (outcome.requests === 0) return yield* failed("no request succeeded: is the cluster up? rondo status shows it")
  })
).pipe(
  Command.withDescription("Load a running cluster and print rate and latencies; writes keys under bench/"),
  Command.withExamples([
    {
      command: "rondo bench --url localhost:8081,localhost:8082,localhost:8083",
      description: "Writes on three nodes"
    },
    { command: "rondo bench --op get --connections 128 --duration 5 --json", description: "Reads, for a script" }
  ])
)
