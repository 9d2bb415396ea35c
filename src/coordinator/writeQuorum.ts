/**
 * One attempt of a write: the cell goes to every replica at once and counts when W of them took it as their newest.
 *
 * Source: DeCandia et al., "Dynamo: Amazon's Highly Available Key-value Store" (SOSP 2007), section 4.5; unlike
 * Dynamo, a replica that holds something newer says so, and its answer does not count.
 */
import { Effect, Exit } from "effect"
import type { NodeId } from "../domain/NodeId.ts"
import type { Version } from "../domain/Version.ts"
import type { Uncounted, WriteAnswer } from "../peer/PeerClient.ts"
import type { PeerFailed } from "../peer/PeerError.ts"
import type { Done } from "../replication/Call.ts"
import { type ReplicaFailure, WriteQuorumNotReached } from "./CoordinatorError.ts"
import type { Deadlines } from "./Deadlines.ts"
import * as quorum from "./quorum.ts"

export type WriteOutcome =
  | { readonly _tag: "Acknowledged"; readonly acks: number; readonly replaced: boolean }
  /** A replica holds something newer: stamp above it and try again. */
  | { readonly _tag: "Superseded"; readonly newest: Version; readonly by: NodeId }

/** An answer of a replica that can vouch for it. */
export type CountedAnswer = Exclude<WriteAnswer, Uncounted>

export interface WriteAttempt {
  /** Replicas to ask. */
  readonly nodes: ReadonlyArray<NodeId>
  /** Sends the cell to one of them. Nothing cancels it. */
  readonly send: (node: NodeId, done: Done<CountedAnswer, PeerFailed>) => void
  /** Replicas known to be down: not asked. */
  readonly absent: ReadonlyArray<ReplicaFailure>
  readonly wanted: number
  readonly deadlines: Deadlines
  readonly expiresAt: number
}

/** Fails with `outcome: "unknown"`, since a replica that did not answer may have taken the write. */
export const attempt = (options: WriteAttempt): Effect.Effect<WriteOutcome, WriteQuorumNotReached> =>
  Effect.suspend(() => {
    const { absent, nodes, wanted } = options
    const failures: Array<ReplicaFailure> = [...absent]
    let accepted = 0
    let replaced = false
    const failed = () =>
      new WriteQuorumNotReached({
        wanted,
        got: accepted,
        replicas: nodes.length + absent.length,
        outcome: "unknown",
        failures
      })
    return quorum.collect<CountedAnswer, PeerFailed, WriteOutcome, WriteQuorumNotReached>({
      deadlines: options.deadlines,
      start: (index, done) => {
        options.send(nodes[index]!, done)
        return goesOn
      },
      requests: nodes.length,
      spares: 0,
      expiresAt: options.expiresAt,
      stragglers: "continue",
      onAnswer: (index, answer) => {
        if (answer._tag === "Superseded") {
          return Exit.succeed({ _tag: "Superseded", newest: answer.newest, by: nodes[index]! })
        }
        accepted++
        replaced ||= answer.replaced
        return accepted >= wanted ? Exit.succeed({ _tag: "Acknowledged", acks: accepted, replaced }) : undefined
      },
      onFailure: (index, error, open) => {
        failures.push({ node: nodes[index]!, reason: error.reason })
        return accepted + open < wanted ? Exit.fail(failed()) : undefined
      },
      onTimeout: () => Exit.fail(failed())
    })
  })

const goesOn = () => {}
