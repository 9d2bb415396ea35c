/**
 * When replicas disagree, a read fetches the newest cell and writes it to the stale ones **before** the answer, so that
 * no later quorum read can return something older. Replicas that were not asked get it after the answer.
 *
 * Source: the "blocking read repair" of Apache Cassandra, which gives monotonic quorum reads.
 */
import { Effect, Schema } from "effect"
import type { Cell } from "../domain/cell/Cell.ts"
import type { Key } from "../domain/Key.ts"
import type { NodeId } from "../domain/NodeId.ts"
import * as Version from "../domain/Version.ts"
import type { ReadAnswer } from "../peer/PeerClient.ts"
import type { Replicator } from "../replicator/Replicator.ts"
import type { Attempts } from "./Attempts.ts"
import { ReadQuorumNotReached, type ReplicaFailure } from "./CoordinatorError.ts"
import * as quorum from "./quorum.ts"
import type { ReadReceipt } from "./receipts.ts"
import type { Resolution } from "./resolution.ts"

/**
 * No replica that said it holds the newest version hands it over any more. If nobody else has it, it was never
 * acknowledged, and a read that starts again can do without it.
 */
export class HoldersLost extends Schema.TaggedError<HoldersLost>()("HoldersLost", { failure: ReadQuorumNotReached }) {}

export interface ReadRepairOptions {
  readonly attempts: Attempts
  readonly replicator: Replicator["Service"]
  readonly key: Key
  readonly answers: ReadonlyArray<quorum.Answer<ReadAnswer>>
  readonly resolution: Resolution
  /** Replicas that are up but were not asked. */
  readonly others: ReadonlyArray<NodeId>
  readonly wanted: number
  readonly replicas: number
  readonly expiresAtMillis: number
}

export const repair = Effect.fnUntraced(function*(options: ReadRepairOptions) {
  const { answers, attempts, others, replicas, replicator, wanted } = options
  const { cell, holder } = yield* newestCell(options)
  const isInSync = ({ answer: { version }, node }: quorum.Answer<ReadAnswer>) =>
    node === holder || (version !== undefined && Version.compare(version, cell.version) >= 0)
  const stale = answers.filter((answer) => !isInSync(answer)).map(({ node }) => node)
  if (stale.length > 0) {
    yield* repairStale(options, cell, stale, wanted - (answers.length - stale.length))
    // A replica that was not asked is probably stale too. Nobody waits for it.
    for (const node of others) attempts.inBackground(Effect.ignore(replicator.repair(node, cell)))
  }
  return { cell, answers: answers.length, replicas } satisfies ReadReceipt
})

/** The newest cell itself: among the answers, or asked of the replicas that said they hold the version. */
const newestCell = Effect.fnUntraced(function*(options: ReadRepairOptions) {
  const { key, replicator, resolution: { cell, holders } } = options
  if (cell !== undefined) return { cell, holder: holders[0]! }
  const verdict = yield* options.attempts.run({
    nodes: holders,
    atOnce: 1,
    absent: [],
    ask: (node) => replicator.read(node, { key, full: true }),
    rule: quorum.count(1),
    expiresAtMillis: options.expiresAtMillis,
    stragglers: "interrupt"
  })
  if (verdict._tag === "NotEnough") {
    const failure = failed(options, 0, verdict.failures)
    return yield* verdict.isExpired ? failure : new HoldersLost({ failure })
  }
  const { answer, node } = verdict.answers[0]!
  if (answer.cell === undefined) return yield* new HoldersLost({ failure: failed(options, 0, []) })
  return { cell: answer.cell, holder: node }
})

/** Waits until `needed` more replicas hold the cell, or something newer: the stale ones, or others when those fail. */
const repairStale = Effect.fnUntraced(function*(
  options: ReadRepairOptions,
  cell: Cell,
  stale: ReadonlyArray<NodeId>,
  needed: number
) {
  const verdict = yield* options.attempts.run({
    nodes: [...stale, ...options.others],
    atOnce: stale.length,
    absent: [],
    ask: (node) => options.replicator.repair(node, cell),
    rule: quorum.count(needed),
    expiresAtMillis: options.expiresAtMillis,
    stragglers: "run-on"
  })
  if (verdict._tag === "NotEnough") {
    return yield* failed(options, options.wanted - needed + verdict.got, verdict.failures)
  }
})

const failed = (
  { replicas, wanted }: ReadRepairOptions,
  got: number,
  failures: ReadonlyArray<ReplicaFailure>
) => new ReadQuorumNotReached({ wanted, got, replicas, failures })
