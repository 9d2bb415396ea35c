/**
 * One read: R replicas answer, the first with the cell and the rest with their version alone; slow or failed ones
 * are made up for by others.
 *
 * Source: DeCandia et al., "Dynamo" (SOSP 2007), section 4.5.
 */
import { Effect, Exit } from "effect"
import type { Cell } from "../domain/cell/Cell.ts"
import type { NodeId } from "../domain/NodeId.ts"
import * as Version from "../domain/Version.ts"
import * as Metrics from "../observability/Metrics.ts"
import type { ReadAnswer } from "../peer/PeerClient.ts"
import type { PeerFailed } from "../peer/PeerError.ts"
import type { Cancel, Done } from "../replication/Call.ts"
import { ReadQuorumNotReached, type ReplicaFailure } from "./CoordinatorError.ts"
import type { Deadlines } from "./Deadlines.ts"
import * as quorum from "./quorum.ts"

export interface ReplicaAnswer extends ReadAnswer {
  readonly node: NodeId
}

export interface ReadAttempt {
  /** In the order in which to ask; the first `wanted` at once. */
  readonly nodes: ReadonlyArray<NodeId>
  readonly read: (node: NodeId, full: boolean, done: Done<ReadAnswer, PeerFailed>) => Cancel
  /** Replicas known to be down: not asked. */
  readonly absent: ReadonlyArray<ReplicaFailure>
  readonly wanted: number
  readonly deadlines: Deadlines
  readonly hedgeAt: number
  readonly expiresAt: number
}

export const attempt = (options: ReadAttempt): Effect.Effect<ReadonlyArray<ReplicaAnswer>, ReadQuorumNotReached> =>
  Effect.suspend(() => {
    const { absent, nodes, wanted } = options
    const failures: Array<ReplicaFailure> = [...absent]
    const answers: Array<ReplicaAnswer> = []
    const failed = () =>
      new ReadQuorumNotReached({ wanted, got: answers.length, replicas: nodes.length + absent.length, failures })
    if (nodes.length < wanted) return Effect.fail(failed())
    return quorum.collect<ReadAnswer, PeerFailed, ReadonlyArray<ReplicaAnswer>, ReadQuorumNotReached>({
      deadlines: options.deadlines,
      start: (index, done) => {
        if (index >= wanted) Metrics.readHedged()
        // The first brings the cell; one that makes up for another brings it too, as the first may be the one missing.
        return options.read(nodes[index]!, index === 0 || index >= wanted, done)
      },
      requests: wanted,
      spares: nodes.length - wanted,
      hedgeAt: nodes.length > wanted ? options.hedgeAt : undefined,
      expiresAt: options.expiresAt,
      stragglers: "interrupt",
      onAnswer: (index, { cell, version }) => {
        answers.push({ node: nodes[index]!, cell, version })
        return answers.length >= wanted ? Exit.succeed(answers) : undefined
      },
      onFailure: (index, error, open) => {
        failures.push({ node: nodes[index]!, reason: error.reason })
        return answers.length + open < wanted ? Exit.fail(failed()) : undefined
      },
      onTimeout: () => Exit.fail(failed())
    })
  })

/** What the answers say together. */
export interface Resolution {
  /** `undefined` when no replica ever had the key. */
  readonly newest: Version.Version | undefined
  /** The cell of that version, when one of the answers carried it. */
  readonly cell: Cell | undefined
  /** Replicas that hold that version. */
  readonly holders: ReadonlyArray<NodeId>
  /** Replicas that answered with less. */
  readonly stale: ReadonlyArray<NodeId>
}

export const resolve = (answers: ReadonlyArray<ReplicaAnswer>): Resolution => {
  let newest: Version.Version | undefined
  for (const { version } of answers) {
    if (version !== undefined && (newest === undefined || Version.compare(version, newest) > 0)) newest = version
  }
  if (newest === undefined) return nothing
  let cell: Cell | undefined
  const holders: Array<NodeId> = []
  const stale: Array<NodeId> = []
  for (const answer of answers) {
    if (answer.version === undefined || Version.compare(answer.version, newest) < 0) {
      stale.push(answer.node)
      continue
    }
    holders.push(answer.node)
    cell ??= answer.cell
  }
  return { newest, cell, holders, stale }
}

const nothing: Resolution = { newest: undefined, cell: undefined, holders: [], stale: [] }
