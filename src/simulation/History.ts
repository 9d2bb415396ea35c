/**
 * The operations of a run's clients and the cluster's final state: the input of all checkers.
 *
 * `began` and `ended` are places in one global order of events, so that "before" has one meaning; `beganMillis` and
 * `endedMillis` are the virtual times of the same two moments.
 */
import type { Version } from "../domain/Version.ts"

/** The outcome of an operation, as its client knows it. */
export type Outcome =
  /** Acknowledged. In a read's answer an absent key has no version, and a deleted one no value. */
  | { readonly _tag: "Ok"; readonly version: Version | undefined; readonly value: string | undefined }
  /** Surely without effect. `error` is the typed error's `_tag`. */
  | { readonly _tag: "NotApplied"; readonly error: string; readonly detail: string }
  /** It may have happened, or may happen later: timeouts, lost connections, a node that died, a client that left. */
  | { readonly _tag: "Unknown"; readonly error: string; readonly detail: string }
  /** A bug: a defect instead of a typed error. */
  | { readonly _tag: "Defect"; readonly detail: string }

export interface Operation {
  /** Place in the history, from 0. */
  readonly id: number
  readonly client: number
  /** The coordinating node. */
  readonly node: string
  readonly kind: "put" | "delete" | "get"
  readonly key: string
  /** Only a put has one; no two puts of a run have the same. */
  readonly value: string | undefined
  /** Replicas asked for: W of a write, R of a read. */
  readonly quorum: number
  readonly began: number
  readonly beganMillis: number
  ended: number
  endedMillis: number
  /** `undefined`: still open when the run ended. */
  outcome: Outcome | undefined
}

/** A time in which something was wrong, with those nodes that it may disturb. */
export interface Disturbance {
  readonly kind: string
  readonly nodes: ReadonlyArray<string>
  readonly fromMillis: number
  /** When it was over, recovery of the node included; `Infinity` when it never was. */
  toMillis: number
}

/** A cell as one replica holds it at the end. */
export interface FinalCell {
  readonly key: string
  readonly version: Version
  /** `undefined` for a tombstone. */
  readonly value: string | undefined
}

export interface FinalState {
  /** All cells of each node, by node. */
  readonly cells: ReadonlyMap<string, ReadonlyArray<FinalCell>>
  /** The nodes that must hold a key. */
  readonly replicasOf: (key: string) => ReadonlyArray<string>
  /** Virtual time from the end of the last fault to agreement; `undefined` when they did not agree in time. */
  readonly convergedAfterMillis: number | undefined
  readonly convergenceBoundMillis: number
}

/**
 * A cell that a replica had accepted and no longer held when it started again; or, when tables rotted, answered with an
 * older one, or still lacked when it called the range whole.
 */
export interface Forgotten {
  readonly node: string
  readonly key: string
  readonly promised: Version
  readonly held: Version | undefined
  readonly atMillis: number
}

/** Hints that lay on a coordinator's disk when it started, and that it did not take up. */
export interface ForgottenHints {
  readonly node: string
  readonly peer: string
  readonly onDisk: number
  readonly pending: number
  readonly atMillis: number
}

export interface Run {
  readonly seed: number
  readonly replicationFactor: number
  readonly operations: ReadonlyArray<Operation>
  readonly disturbances: ReadonlyArray<Disturbance>
  readonly final: FinalState
  readonly forgotten: ReadonlyArray<Forgotten>
  readonly forgottenHints: ReadonlyArray<ForgottenHints>
  /** Errors in the nodes' logs that no fault explains, such as two cells with one version. */
  readonly alarms: ReadonlyArray<{ readonly node: string; readonly atMillis: number; readonly text: string }>
  /** How long a client waits for an operation at most, as the node promises it. */
  readonly requestTimeoutMillis: number
}

/** A broken promise, with the operations that show it. */
export interface Violation {
  /** The promise's name in the design. */
  readonly promise: string
  /** One sentence for people. */
  readonly detail: string
  readonly operations: ReadonlyArray<Operation>
}

export type Checker = (run: Run) => ReadonlyArray<Violation>
