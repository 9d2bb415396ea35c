/** `rondo status`: the cluster as one of its nodes sees it. */
import { Clock, Duration, Effect, Option, Schema } from "effect"
import { Command } from "effect/cli"
import { Cluster, Health } from "../api/AdminApi.ts"
import { CommandFailed, report } from "./CommandFailed.ts"
import * as flags from "./flags.ts"
import type { Answer } from "./Http.ts"
import { printLine } from "./Output.ts"
import * as statusTable from "./statusTable.ts"
import * as target from "./target.ts"

const decodeCluster = Schema.decodeUnknownOption(Schema.fromJsonString(Cluster))
const decodeHealth = Schema.decodeUnknownOption(Schema.fromJsonString(Health))

const text = (answer: Answer): string => answer.body.toString("utf8")

const answerTimeout = Duration.seconds(10)

/** Both pages of the first node that answers. That of an unavailable cluster, a 503, is shown as well. */
const readBoth = (urls: ReadonlyArray<string>) =>
  Effect.firstSuccessOf(urls.map((origin) =>
    Effect.all([
      target.send({ origin, method: "GET", path: "/cluster" }, answerTimeout),
      target.send({ origin, method: "GET", path: "/healthz" }, answerTimeout)
    ], { concurrency: 2 })
  ))

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
