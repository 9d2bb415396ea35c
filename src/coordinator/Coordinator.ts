/**
 * One client operation from start to answer: pick replicas, fan out, wait for the quorum, resolve, repair.
 */
import { Context, type Duration, type Effect } from "effect"
import type { Cell, Value } from "../domain/Cell.ts"
import type { Key } from "../domain/Key.ts"
import type { Version } from "../domain/Version.ts"
import type { ReadQuorumFailed, WriteQuorumFailed } from "./CoordinatorError.ts"

/** Left out means the cluster's default quorum and this node's `REQUEST_TIMEOUT`. */
export interface WriteOptions {
  /** Replicas to wait for; 1 to N, checked by the caller. */
  readonly w?: number | undefined
  readonly timeout?: Duration.Duration | undefined
}

export interface ReadOptions {
  readonly r?: number | undefined
  readonly timeout?: Duration.Duration | undefined
}

export interface WriteReceipt {
  readonly version: Version
  /** Replicas that had taken the write when it was acknowledged. */
  readonly acks: number
  readonly replicas: number
  /** Whether some replica that took it held a live value before. */
  readonly replaced: boolean
}

export interface ReadReceipt {
  /** The newest cell among the replicas asked, tombstones included; `undefined` when none ever had the key. */
  readonly cell: Cell | undefined
  readonly answers: number
  readonly replicas: number
}

export class Coordinator extends Context.Service<Coordinator, {
  readonly put: (key: Key, value: Value, options?: WriteOptions) => Effect.Effect<WriteReceipt, WriteQuorumFailed>
  /** Writes a tombstone, also when there was nothing. */
  readonly delete: (key: Key, options?: WriteOptions) => Effect.Effect<WriteReceipt, WriteQuorumFailed>
  readonly get: (key: Key, options?: ReadOptions) => Effect.Effect<ReadReceipt, ReadQuorumFailed>
}>()("rondo/coordinator/Coordinator") {}
