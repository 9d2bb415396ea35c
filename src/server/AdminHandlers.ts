/** `/livez /readyz /healthz /cluster /metrics`, which `Health` makes from the services' reports, and `/snapshots`. */
import { Clock, Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { resolve } from "node:path"
import { Api } from "../api/Api.ts"
import * as Problem from "../api/Problem.ts"
import { ClusterConfig } from "../config/ClusterConfig.ts"
import type { StorageError } from "../disk/StorageError.ts"
import { Gossip } from "../gossip/Gossip.ts"
import { Metrics } from "../observability/Metrics.ts"
import { uptimeMillisUnsafe } from "../observability/uptime.ts"
import { Replicator } from "../replicator/Replicator.ts"
import { Ring } from "../ring/Ring.ts"
import { Snapshots } from "../storage/Snapshots.ts"
import { Storage } from "../storage/Storage.ts"
import * as Health from "./Health.ts"
import * as Lane from "./lane/Lane.ts"
import { eventLoopLag, metricsText } from "./metricsText.ts"

const noStore = { "cache-control": "no-store" }
const prometheus = "text/plain; version=0.0.4; charset=utf-8"

const alive = HttpServerResponse.text("ok\n", { headers: noStore })

export const layer = HttpApiBuilder.group(
  Api,
  "admin",
  Effect.fnUntraced(function*(handlers) {
    const admission = yield* Lane.Admission
    const settings = yield* ClusterConfig
    const gossip = yield* Gossip
    const metrics = yield* Metrics
    const replicator = yield* Replicator
    const ring = yield* Ring
    const snapshots = yield* Snapshots
    const storage = yield* Storage
    const lag = yield* Effect.acquireRelease(Effect.sync(eventLoopLag), ({ stop }) => Effect.sync(stop))

    const clock = yield* Clock.Clock
    /** Services keep times on a clock that nobody sets; a reader expects a date. */
    const onCalendar = (uptimeMillis: number) =>
      Math.round(clock.currentTimeMillisUnsafe() - uptimeMillisUnsafe(clock) + uptimeMillis)

    const observe = Effect.gen(function*() {
      const observation: Health.Observation = {
        self: gossip.self,
        settings,
        members: gossip.members().map((member) => ({ ...member, heardAtMillis: onCalendar(member.heardAtMillis) })),
        ring: ring.current(),
        storage: yield* storage.stats,
        replicator: yield* replicator.status
      }
      return observation
    })

    return handlers
      .handleRaw("livez", () => Effect.succeed(alive))
      .handleRaw("readyz", ({ query }) =>
        Effect.map(observe, (observation) => {
          const checks = Health.readiness(observation)
          const ready = checks.every(({ failure }) => failure === undefined)
          const text = Health.readinessText(checks, query.verbose !== undefined)
          return HttpServerResponse.text(text, { status: ready ? 200 : 503, headers: noStore })
        }))
      .handleRaw("healthz", () =>
        Effect.map(observe, (observation) => {
          const health = Health.health(observation)
          const status = health.status === "unavailable" ? 503 : 200
          return HttpServerResponse.jsonUnsafe(health, { status, headers: noStore })
        }))
      .handleRaw("cluster", () =>
        Effect.map(
          observe,
          (observation) => HttpServerResponse.jsonUnsafe(Health.cluster(observation), { headers: noStore })
        ))
      .handleRaw("metrics", () =>
        Effect.map(observe, (observation) => {
          const text = metricsText(metrics, observation, admission.inFlight(), lag.takeSeconds())
          return HttpServerResponse.text(text, { contentType: prometheus, headers: noStore })
        }))
      .handle("takeSnapshot", ({ payload: { name } }) =>
        Effect.mapBoth(snapshots.take(name), {
          // The client does not know where this process was started.
          onSuccess: (report) => ({ name, ...report, directory: resolve(report.directory) }),
          onFailure: (error) =>
            error._tag === "BadSnapshotName"
              ? new Problem.InvalidSnapshotName({ detail: error.message })
              : error._tag === "SnapshotDirectoryTaken"
              ? new Problem.SnapshotExists({
                detail: `there is a snapshot ${name}: choose another name, or remove it with DELETE /snapshots/${name}`
              })
              : storageFailed(error)
        }))
      .handle("listSnapshots", () =>
        Effect.mapBoth(snapshots.list, {
          onSuccess: (stored) => ({ node: gossip.self, snapshots: stored }),
          onFailure: storageFailed
        }))
      .handle(
        "removeSnapshot",
        ({ params: { name } }) =>
          Effect.mapError(snapshots.remove(name), (error) =>
            error._tag === "BadSnapshotName"
              ? new Problem.InvalidSnapshotName({ detail: error.message })
              : error._tag === "SnapshotMissing"
              ? new Problem.SnapshotNotFound({ detail: error.message })
              : storageFailed(error))
      )
  })
)

const storageFailed = (error: StorageError) => new Problem.StorageFailed({ detail: error.message })
