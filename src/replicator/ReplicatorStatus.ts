/** What an operator sees of hints and comparisons. */
import type { NodeId } from "../domain/NodeId.ts"

/** Cells that wait on this node's disk for one peer. */
export interface HintStatus {
  readonly peer: NodeId
  readonly pending: number
  readonly pendingBytes: number
  /** Since this start: hints that were too many or too old and left to partition comparison. */
  readonly dropped: number
  readonly delivered: number
}

/** The latest comparison of this node's partitions with one peer's. */
export interface ComparisonStatus {
  readonly peer: NodeId
  readonly state: "waiting" | "running" | "level" | "failed"
  /** Partitions whose contents differed when it began. */
  readonly differing: number
  readonly received: number
  readonly sent: number
  /** Why it failed; it is tried again. */
  readonly failure: string | undefined
}

/** What becomes of the ranges of keys that this node has lost cells of. */
export interface RepairStatus {
  /** `waiting` for what `reason` says, or `failed` because of it and to be tried again. */
  readonly state: "idle" | "waiting" | "running" | "failed"
  readonly reason: string | undefined
  /** Since this start: ranges that are whole again, and cells that other replicas gave back. */
  readonly rangesRepaired: number
  readonly cellsRepaired: number
}

export interface ReplicatorStatus {
  /**
   * The data directory is new or was salvaged, so this node does not answer reads until it has compared with every
   * replica.
   */
  readonly recovering: boolean
  readonly hints: ReadonlyArray<HintStatus>
  readonly comparisons: ReadonlyArray<ComparisonStatus>
  readonly readRepairs: number
  readonly repair: RepairStatus
}
