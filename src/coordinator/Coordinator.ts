/**
 * One client operation from start to answer: pick replicas, fan out, wait for the quorum, resolve, repair.
 *
 * Invariants
 * - A write is acknowledged only when W replicas took it as their newest. Any two write quorums share a replica, so
 *   an acknowledged write never loses to one that was acknowledged before it began.
 * - A read answers only with a version that R replicas hold by then, so no later quorum read goes back.
 */
import { Context, Duration, Effect, Layer } from "effect"
import { LamportClock } from "../clock/LamportClock.ts"
import { ClusterConfig } from "../config/ClusterConfig.ts"
import { NodeConfig } from "../config/NodeConfig.ts"
import type { Value } from "../domain/cell/Cell.ts"
import type { Key } from "../domain/Key.ts"
import type { NodeId } from "../domain/NodeId.ts"
import { Gossip } from "../gossip/Gossip.ts"
import { Metrics } from "../observability/Metrics.ts"
import type { ReadAnswer, ReadRequest } from "../peer/PeerClient.ts"
import type { PeerFailed } from "../peer/PeerError.ts"
import { Replicator } from "../replicator/Replicator.ts"
import { Ring } from "../ring/Ring.ts"
import * as Attempts from "./Attempts.ts"
import { type Outcome, ReadQuorumNotReached, type ReplicaFailure, WriteQuorumNotReached } from "./CoordinatorError.ts"
import * as Deadlines from "./Deadlines.ts"
import * as Latencies from "./Latencies.ts"
import * as quorum from "./quorum.ts"
import * as ReadRepair from "./ReadRepair.ts"
import type { ReadOptions, ReadReceipt, WriteOptions, WriteReceipt } from "./receipts.ts"
import * as ReplicaOrder from "./ReplicaOrder.ts"
import { resolve } from "./resolution.ts"

export class Coordinator extends Context.Service<Coordinator, {
  readonly put: (key: Key, value: Value, options?: WriteOptions) => Effect.Effect<WriteReceipt, WriteQuorumNotReached>
  /** Writes a tombstone, also when there was nothing. */
  readonly delete: (key: Key, options?: WriteOptions) => Effect.Effect<WriteReceipt, WriteQuorumNotReached>
  readonly get: (key: Key, options?: ReadOptions) => Effect.Effect<ReadReceipt, ReadQuorumNotReached>
}>()("rondo/coordinator/Coordinator") {
  static readonly layer = Layer.effect(
    Coordinator,
    Effect.gen(function*() {
      const { readQuorum: defaultR, writeQuorum: defaultW } = yield* ClusterConfig
      const { requestTimeout } = yield* NodeConfig
      const ring = yield* Ring
      const { liveness, self } = yield* Gossip
      const replicator = yield* Replicator
      const lamport = yield* LamportClock
      const metrics = yield* Metrics
      const deadlines = yield* Deadlines.make
      const attempts = yield* Attempts.make(deadlines)
      const latencies = Latencies.make()
      const outlook: ReplicaOrder.Outlook = { self, liveness, averageMillis: latencies.averageMillis }
      let reads = 0

      const expiryMillis = (timeout: Duration.Duration = requestTimeout) =>
        deadlines.nowMillis() + Duration.toMillis(timeout)

      const write = Effect.fnUntraced(function*(
        key: Key,
        value: Value | undefined,
        options: WriteOptions | undefined
      ): Effect.fn.Return<WriteReceipt, WriteQuorumNotReached> {
        const expiresAtMillis = expiryMillis(options?.timeout)
        const { absent, present } = ReplicaOrder.split(ring.preferenceList(key), liveness)
        const wanted = options?.w ?? defaultW
        const replicas = present.length + absent.length
        let outcome: Outcome = "not-applied"
        const failed = (failures: ReadonlyArray<ReplicaFailure>, got = 0) =>
          new WriteQuorumNotReached({ wanted, got, replicas, outcome, failures })

        if (present.length < wanted) return yield* failed(absent)
        while (true) {
          const version = yield* Effect.mapError(
            lamport.next,
            () => failed([...absent, { node: self, reason: "storage" }])
          )
          const cell = { key, version, value }
          for (const { node } of absent) replicator.hint(node, cell)
          outcome = "unknown"
          const verdict = yield* attempts.run({
            nodes: present,
            atOnce: present.length,
            absent,
            ask: (node) => replicator.write(node, cell),
            rule: quorum.write(wanted),
            expiresAtMillis,
            stragglers: "run-on"
          })
          if (verdict._tag === "Acknowledged") {
            return { version, acks: verdict.acks, replicas, replaced: verdict.replaced }
          }
          if (verdict._tag === "NotEnough") return yield* failed(verdict.failures, verdict.got)
          // Somebody wrote with a clock ahead of this one: stamp above it, as long as there is time.
          metrics.writeSuperseded()
          if (!lamport.observe(verdict.newest.counter) || deadlines.nowMillis() >= expiresAtMillis) {
            return yield* failed([...absent, { node: verdict.by, reason: "superseded" }])
          }
        }
      })

      const read = (
        key: Key,
        wanted: number,
        expiresAtMillis: number,
        attempts: number
      ): Effect.Effect<ReadReceipt, ReadQuorumNotReached> =>
        Effect.catchTag(
          readOnce(key, wanted, expiresAtMillis),
          "HoldersLost",
          ({ failure }) => attempts > 1 ? read(key, wanted, expiresAtMillis, attempts - 1) : Effect.fail(failure)
        )

      const readOnce = Effect.fnUntraced(function*(
        key: Key,
        wanted: number,
        expiresAtMillis: number
      ): Effect.fn.Return<ReadReceipt, ReadQuorumNotReached | ReadRepair.HoldersLost> {
        const { absent, present } = ReplicaOrder.split(ring.preferenceList(key), liveness)
        const replicas = present.length + absent.length
        const failed = (failures: ReadonlyArray<ReplicaFailure>, got = 0) =>
          new ReadQuorumNotReached({ wanted, got, replicas, failures })

        if (present.length < wanted) return yield* failed(absent)
        const verdict = yield* attempts.run({
          nodes: ReplicaOrder.forReading(present, outlook, ++reads),
          atOnce: wanted,
          absent,
          ask: (node, index) => {
            const isSpare = index >= wanted
            if (isSpare) metrics.readHedged()
            // The first brings the cell. A spare brings it too, since it may stand in for the first.
            return readFrom(node, { key, full: index === 0 || isSpare })
          },
          rule: quorum.count(wanted),
          hedgeAtMillis: deadlines.nowMillis() + latencies.hedgeAfterMillis(),
          expiresAtMillis,
          stragglers: "interrupt"
        })
        if (verdict._tag === "NotEnough") return yield* failed(verdict.failures, verdict.got)
        const { answers } = verdict
        const resolution = resolve(answers)
        const { cell, newest, stale } = resolution
        if (newest === undefined || (stale.length === 0 && cell !== undefined)) {
          return { cell, answers: answers.length, replicas }
        }
        const others = present.filter((node) => !answers.some((answer) => answer.node === node))
        return yield* ReadRepair.repair({
          attempts,
          replicator,
          key,
          answers,
          resolution,
          others,
          wanted,
          replicas,
          expiresAtMillis
        })
      })

      /** Takes the time until another node answers. */
      const readFrom = (node: NodeId, request: ReadRequest): Effect.Effect<ReadAnswer, PeerFailed> => {
        const asking = replicator.read(node, request)
        if (node === self) return asking
        const askedAtMillis = deadlines.nowMillis()
        return Effect.map(asking, (answer) => {
          latencies.record(node, deadlines.nowMillis() - askedAtMillis)
          return answer
        })
      }

      return Coordinator.of({
        put: (key, value, options) => write(key, value, options),
        delete: (key, options) => write(key, undefined, options),
        get: (key, options) =>
          Effect.suspend(() => read(key, options?.r ?? defaultR, expiryMillis(options?.timeout), readAttempts))
      })
    })
  )
}

/** A replica that holds the newest version may be lost while it is asked for it, and another one after it. */
const readAttempts = 3
