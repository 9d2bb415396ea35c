/** `rondo status`: the cluster as one of its nodes sees it. */
import { Clock, Effect } from "effect"
import { Command } from "effect/cli"
import { Cluster, Health } from "../api/AdminApi.ts"
import { failed } from "./CommandFailed.ts"
import * as flags from "./flags.ts"
import { print } from "./Output.ts"
import * as statusTable from "./statusTable.ts"
import * as target from "./target.ts"

export const status = Command.make(
  "status",
  {
    url: target.url,
    json: flags.json
  },
  Effect.fnUntraced(function*({ json, url }) {
    const urls = yield* target.parseUrls(url)
    // Both pages of one node, the first that gives them.
    const [cluster, health] = yield* Effect.firstSuccessOf(
      urls.map((origin) =>
        Effect.all([target.page(origin, "/cluster", Cluster), target.page(origin, "/healthz", Health)], {
          concurrency: 2
        })
      )
    )
    yield* print(json, { cluster, health }, statusTable.render(cluster, health, yield* Clock.currentTimeMillis))
    if (health.status === "unavailable") {
      return yield* failed("some partitions have no quorum: start the nodes that are down")
    }
  })
).pipe(
  Command.withDescription("Show the cluster as a node sees it; exit code 1 when some keys have no quorum"),
  Command.withExamples([
    { command: "rondo status", description: "Show members, health and storage" },
    {
      command: "rondo status --url localhost:8082 --json | jq .health.status",
      description: "Ask another node, for a script"
    }
  ])
)
