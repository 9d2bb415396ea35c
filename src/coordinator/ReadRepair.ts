/**
 * What a read does when replicas disagree: fetch the newest cell, bring stale replicas level **before** the answer,
 * so that no later quorum read can return something older, and the ones that were not asked behind it.
 *
 * Source: the "blocking read repair" of Apache Cassandra, which gives monotonic quorum reads.
 */
import { Effect, Exit, Schema, type Scope } from "effect"
import type { Cell } from "../domain/cell/Cell.ts"
import type { Key } from "../domain/Key.ts"
import type { NodeId } from "../domain/NodeId.ts"
import * as Version from "../domain/Version.ts"
import type { WriteAnswer } from "../peer/PeerClient.ts"
import type { PeerFailed } from "../peer/PeerError.ts"
import type { Replicator } from "../replicator/Replicator.ts"
import { ReadQuorumNotReached, type ReplicaFailure } from "./CoordinatorError.ts"
import type { Deadlines } from "./Deadlines.ts"
import * as quorum from "./quorum.ts"
import type { ReplicaAnswer, Resolution } from "./readQuorum.ts"
import type { ReadReceipt } from "./receipts.ts"

/**
 * Those that said to hold the newest version do not hand it over any more. Perhaps nobody else has it, and then it was
 * acknowledged to nobody: a read that asks again does without them.
 */
export class HoldersLost extends Schema.TaggedError<HoldersLost>()("HoldersLost", { failure: ReadQuorumNotReached }) {}

export interface ReadRepairOptions {
  readonly replicator: Replicator["Service"]
  readonly key: Key
  readonly answers: ReadonlyArray<ReplicaAnswer>
  readonly resolution: Resolution
  /** Replicas that are up but were not asked. */
  readonly others: ReadonlyArray<NodeId>
  readonly wanted: number
  readonly replicas: number
  readonly deadlines: Deadlines
  readonly expiresAt: number
  readonly scope: Scope.Scope
}

export const repair = Effect.fnUntraced(
  function*(options: ReadRepairOptions): Effect.fn.Return<ReadReceipt, ReadQuorumNotReached | HoldersLost> {
    const { answers, others, replicas, replicator, wanted } = options
    const { cell, holder } = yield* newestCell(options)
    const isLevel = (answer: ReplicaAnswer) =>
      answer.node === holder || (answer.version !== undefined && Version.compare(answer.version, cell.version) >= 0)
    const stale = answers.filter((answer) => !isLevel(answer)).map(({ node }) => node)
    if (stale.length > 0) {
      yield* bringLevel(options, cell, stale, wanted - (answers.length - stale.length))
      // Whoever was not asked is probably stale too; nobody waits for it.
      yield* Effect.forEach(
        others,
        (node) => Effect.forkIn(Effect.ignore(replicator.repair(node, cell)), options.scope),
        { discard: true }
      )
    }
    return { cell, answers: answers.length, replicas }
  }
)

/** The newest cell itself: among the answers, or asked of a replica that said it has the version. */
const newestCell = (
  { deadlines, expiresAt, key, replicator, resolution, ...options }: ReadRepairOptions
): Effect.Effect<{ readonly cell: Cell; readonly holder: NodeId }, ReadQuorumNotReached | HoldersLost> => {
  const [holder] = resolution.holders
  if (resolution.cell !== undefined) return Effect.succeed({ cell: resolution.cell, holder: holder! })
  const failures: Array<ReplicaFailure> = []
  const failed = () =>
    new ReadQuorumNotReached({ wanted: options.wanted, got: 0, replicas: options.replicas, failures })
  const lost = () => new HoldersLost({ failure: failed() })
  const fetches = resolution.holders.map((node) =>
    Effect.map(replicator.read(node, { key, full: true }), ({ cell }) => ({ node, cell }))
  )
  return quorum.collectEffects<
    { node: NodeId; cell: Cell | undefined },
    PeerFailed,
    { cell: Cell; holder: NodeId },
    ReadQuorumNotReached | HoldersLost
  >({
    deadlines,
    requests: fetches.slice(0, 1),
    spares: fetches.slice(1),
    expiresAt,
    stragglers: "interrupt",
    onAnswer: (_index, { cell, node }) => cell === undefined ? Exit.fail(lost()) : Exit.succeed({ cell, holder: node }),
    onFailure: (index, error, open) => {
      failures.push({ node: resolution.holders[index]!, reason: error.reason })
      return open === 0 ? Exit.fail(lost()) : undefined
    },
    onTimeout: () => Exit.fail(failed())
  })
}

/** Waits until `needed` more replicas hold the cell: the stale ones, or others when those fail. */
const bringLevel = (
  options: ReadRepairOptions,
  cell: Cell,
  stale: ReadonlyArray<NodeId>,
  needed: number
): Effect.Effect<void, ReadQuorumNotReached> => {
  const { deadlines, expiresAt, others, replicator, replicas, wanted } = options
  const nodes = [...stale, ...others]
  const failures: Array<ReplicaFailure> = []
  let level = 0
  const failed = () => new ReadQuorumNotReached({ wanted, got: wanted - needed + level, replicas, failures })
  return quorum.collectEffects<WriteAnswer, PeerFailed, void, ReadQuorumNotReached>({
    deadlines,
    requests: stale.map((node) => replicator.repair(node, cell)),
    spares: others.map((node) => replicator.repair(node, cell)),
    expiresAt,
    stragglers: "continue",
    // Superseded is as good: that replica holds something newer still.
    onAnswer: () => ++level >= needed ? Exit.void : undefined,
    onFailure: (index, error, open) => {
      failures.push({ node: nodes[index]!, reason: error.reason })
      return level + open < needed ? Exit.fail(failed()) : undefined
    },
    onTimeout: () => Exit.fail(failed())
  })
}
