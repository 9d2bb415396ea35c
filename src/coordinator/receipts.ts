/** The options of one operation, and the receipt of a successful one. */
import type { Duration } from "effect"
import type { Cell } from "../domain/cell/Cell.ts"
import type { Version } from "../domain/Version.ts"

/** The defaults are the cluster's quorum and this node's `REQUEST_TIMEOUT`. */
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
