/**
 * One client operation from start to answer: pick replicas, fan out, wait for the quorum, resolve, repair.
 *
 * Invariants
 * - A write is acknowledged only when W replicas took it as their newest. Any two write quorums share a replica, so
 *   an acknowledged write never loses to one that was acknowledged before it began.
 * - A read answers only with a version that R replicas hold by then, so no later quorum read goes back.
 */
import { Cause, Context, Duration, Effect, Exit, Layer } from "effect"
import { LamportClock } from "../clock/LamportClock.ts"
import { ClusterConfig } from "../config/ClusterConfig.ts"
import { NodeConfig } from "../config/NodeConfig.ts"
import type { Cell, Value } from "../domain/cell/Cell.ts"
import type { Key } from "../domain/Key.ts"
import type { NodeId } from "../domain/NodeId.ts"
import type { Version } from "../domain/Version.ts"
import { Gossip } from "../gossip/Gossip.ts"
import * as Metrics from "../observability/Metrics.ts"
import type { Uncounted } from "../peer/PeerClient.ts"
import { PeerFailed } from "../peer/PeerError.ts"
import type { Done } from "../replication/Call.ts"
import { ReplicaCalls } from "../replication/ReplicaCalls.ts"
import { Replicator } from "../replicator/Replicator.ts"
import { Ring } from "../ring/Ring.ts"
import {
  type Outcome,
  type ReadQuorumNotReached,
  type ReplicaFailure,
  WriteQuorumNotReached
} from "./CoordinatorError.ts"
import * as Deadlines from "./Deadlines.ts"
import * as readQuorum from "./readQuorum.ts"
import * as ReadRepair from "./ReadRepair.ts"
import type { ReadOptions, ReadReceipt, WriteOptions, WriteReceipt } from "./receipts.ts"
import * as ReplicaOrder from "./ReplicaOrder.ts"
import * as writeQuorum from "./writeQuorum.ts"

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
      const gossip = yield* Gossip
      const replicator = yield* Replicator
      const calls = yield* ReplicaCalls
      const lamport = yield* LamportClock
      const scope = yield* Effect.scope
      const deadlines = yield* Deadlines.make
      const order = ReplicaOrder.make(gossip, deadlines.now)

      const expiry = (timeout: Duration.Duration = requestTimeout) => deadlines.now() + Duration.toMillis(timeout)

      /** A replica that fails after all, whenever that is, gets a hint. */
      const writeTo = (node: NodeId, cell: Cell, done: Done<writeQuorum.CountedAnswer, PeerFailed>) =>
        calls.write(node, cell, (exit) => {
          if (Exit.isSuccess(exit)) {
            const answer = exit.value
            return done(answer._tag === "Uncounted" ? Exit.fail(uncounted(node, answer)) : Exit.succeed(answer))
          }
          if (node !== gossip.self && Cause.hasFails(exit.cause)) replicator.hint(node, cell)
          done(Exit.failCause(exit.cause))
        })

      const stampAndSend = (write: WriteInProgress): Effect.Effect<WriteReceipt, WriteQuorumNotReached> =>
        Effect.matchEffect(lamport.next, {
          onFailure: () => Effect.fail(failedWrite(write, [...write.absent, { node: gossip.self, reason: "storage" }])),
          onSuccess: (version) => send(write, { key: write.key, version, value: write.value })
        })

      const send = (write: WriteInProgress, cell: Cell): Effect.Effect<WriteReceipt, WriteQuorumNotReached> => {
        for (const { node } of write.absent) replicator.hint(node, cell)
        return Effect.flatMap(
          writeQuorum.attempt({
            nodes: write.present,
            send: (node, done) => writeTo(node, cell, done),
            absent: write.absent,
            wanted: write.wanted,
            deadlines,
            expiresAt: write.expiresAt
          }),
          (outcome) =>
            outcome._tag === "Acknowledged"
              ? Effect.succeed({
                version: cell.version,
                acks: outcome.acks,
                replicas: replicasOf(write),
                replaced: outcome.replaced
              })
              : stampAgain({ ...write, outcome: "unknown" }, outcome.newest, outcome.by)
        )
      }

      /** Somebody wrote with a clock ahead of ours: stamp above it, as long as the deadline allows. */
      const stampAgain = (write: WriteInProgress, newest: Version, by: NodeId) => {
        Metrics.writeSuperseded()
        return lamport.observe(newest.counter) && deadlines.now() < write.expiresAt
          ? stampAndSend(write)
          : Effect.fail(failedWrite(write, [...write.absent, { node: by, reason: "superseded" }]))
      }

      const write = (key: Key, value: Value | undefined, options: WriteOptions | undefined) =>
        Effect.suspend(() => {
          const { absent, present } = order.split(ring.preferenceList(key))
          const inProgress: WriteInProgress = {
            key,
            value,
            present,
            absent,
            wanted: options?.w ?? defaultW,
            expiresAt: expiry(options?.timeout),
            outcome: "not-applied"
          }
          return present.length < inProgress.wanted
            ? Effect.fail(failedWrite(inProgress, absent))
            : stampAndSend(inProgress)
        })

      const get = (key: Key, options?: ReadOptions): Effect.Effect<ReadReceipt, ReadQuorumNotReached> =>
        Effect.suspend(() => read(key, options?.r ?? defaultR, expiry(options?.timeout), readAttempts))

      const read = (
        key: Key,
        wanted: number,
        expiresAt: number,
        attempts: number
      ): Effect.Effect<ReadReceipt, ReadQuorumNotReached> =>
        Effect.catchTag(
          readOnce(key, wanted, expiresAt),
          "HoldersLost",
          ({ failure }) => attempts > 1 ? read(key, wanted, expiresAt, attempts - 1) : Effect.fail(failure)
        )

      const readOnce = (key: Key, wanted: number, expiresAt: number) =>
        Effect.suspend((): Effect.Effect<ReadReceipt, ReadQuorumNotReached | ReadRepair.HoldersLost> => {
          const { absent, present } = order.split(ring.preferenceList(key))
          const replicas = present.length + absent.length
          return Effect.flatMap(
            readQuorum.attempt({
              nodes: order.forReading(present),
              read: (node, full, done) => calls.read(node, { key, full }, order.timed(node, done)),
              absent,
              wanted,
              deadlines,
              hedgeAt: deadlines.now() + order.hedgeAfterMillis(),
              expiresAt
            }),
            (answers): Effect.Effect<ReadReceipt, ReadQuorumNotReached | ReadRepair.HoldersLost> => {
              const resolution = readQuorum.resolve(answers)
              if (resolution.newest === undefined || (resolution.stale.length === 0 && resolution.cell !== undefined)) {
                return Effect.succeed({ cell: resolution.cell, answers: answers.length, replicas })
              }
              return ReadRepair.repair({
                replicator,
                key,
                answers,
                resolution,
                others: present.filter((node) => !answers.some((answer) => answer.node === node)),
                wanted,
                replicas,
                deadlines,
                expiresAt,
                scope
              })
            }
          )
        })

      return Coordinator.of({
        put: (key, value, options) => write(key, value, options),
        delete: (key, options) => write(key, undefined, options),
        get
      })
    })
  )
}

/** A replica that holds the newest version may be lost while it is asked for it, and another one after it. */
const readAttempts = 3

/** What stays the same when a write is stamped again. */
interface WriteInProgress {
  readonly key: Key
  readonly value: Value | undefined
  readonly present: ReadonlyArray<NodeId>
  readonly absent: ReadonlyArray<ReplicaFailure>
  readonly wanted: number
  readonly expiresAt: number
  /** What is known if it fails now: `not-applied` until something was sent. */
  readonly outcome: Outcome
}

const uncounted = (peer: NodeId, { reason }: Uncounted) =>
  new PeerFailed({ peer, reason, detail: "its answer does not count towards a quorum" })

const replicasOf = (write: WriteInProgress) => write.present.length + write.absent.length

/** Fails outside of an attempt: too few replicas are known to be up, no version could be stamped, or time is up. */
const failedWrite = (write: WriteInProgress, failures: ReadonlyArray<ReplicaFailure>) =>
  new WriteQuorumNotReached({
    wanted: write.wanted,
    got: 0,
    replicas: replicasOf(write),
    outcome: write.outcome,
    failures
  })
