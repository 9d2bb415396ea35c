/** `rondo status`: the cluster as one of its nodes sees it. */
import { Clock, Effect, Option, Schema } from "effect"
import { Command } from "effect/cli"
import { Cluster, Health } from "../api/AdminApi.ts"
import { CommandFailed, report } from "./CommandFailed.ts"
import * as flags from "./flags.ts"
import { type Answer, Http } from "./Http.ts"
import { printLine } from "./Output.ts"
import * as statusTable from "./statusTable.ts"
import * as target from "./target.ts"

const decodeCluster = Schema.decodeUnknownOption(Schema.fromJsonString(Cluster))
const decodeHealth = Schema.decodeUnknownOption(Schema.fromJsonString(Health))

const text = (answer: Answer): string => answer.body.toString("utf8")

/** Both pages of the first node that answers. That of an unavailable cluster, a 503, is shown as well. */
const readBoth = Effect.fnUntraced(function*(urls: ReadonlyArray<string>) {
  const http = yield* Http
  let failure = ""
  for (const origin of urls) {
    const answers = yield* Effect.all([
      http.send({ origin, method: "GET", path: "/cluster" }),
      http.send({ origin, method: "GET", path: "/healthz" })
    ], { concurrency: 2 }).pipe(Effect.timeout("10 seconds"), Effect.result)
    if (answers._tag === "Success") return answers.success
    failure = answers.failure._tag === "TimeoutError"
      ? `${origin} did not answer within 10 seconds`
      : answers.failure.message
  }
  return yield* new CommandFailed({ message: failure })
})

export const status = Command.make("status", {
  url: target.url,
  json: flags.json
}, ({ json, url }) =>
  report(Effect.gen(function*() {
    const [clusterAnswer, healthAnswer] = yield* readBoth(yield* target.parseUrls(url))
    const cluster = decodeCluster(text(clusterAnswer))
    const health = decodeHealth(text(healthAnswer))
    if (Option.isNone(cluster) || Option.isNone(health)) {
      return yield* new CommandFailed({
        message: `not a Rondo node: /cluster answered ${clusterAnswer.status}, /healthz ${healthAnswer.status}`
      })
    }
    yield* printLine(
      json
        ? JSON.stringify({ cluster: cluster.value, health: health.value })
        : statusTable.render(cluster.value, health.value, yield* Clock.currentTimeMillis)
    )
    if (health.value.status === "unavailable") {
      return yield* new CommandFailed({ message: "some partitions have no quorum" })
    }
  }))).pipe(
    Command.withDescription("Show the cluster as a node sees it; exit code 1 when some keys have no quorum"),
    Command.withExamples([
      { command: "rondo status", description: "Show members, health and storage" },
      {
        command: "rondo status --url localhost:8082 --json | jq .health.status",
        description: "Ask another node, for a script"
      }
    ])
  )
