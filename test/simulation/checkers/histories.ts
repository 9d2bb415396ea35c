/**
 * Hand-made histories for the checkers' tests. A span `[began, ended]` gives an operation's places in the order of
 * events and, in seconds, its times.
 */
import type { NodeId } from "../../../src/domain/NodeId.ts"
import type * as Version from "../../../src/domain/Version.ts"
import type {
  Disturbance,
  FinalCell,
  FinalState,
  Operation,
  Outcome,
  Run,
  Violation
} from "../../../src/simulation/History.ts"

type Span = readonly [began: number, ended: number]

export const nodes = ["node1", "node2", "node3"]

export const at = (counter: number, nodeId = "node1"): Version.Version => ({
  counter,
  nodeId: nodeId as NodeId,
  incarnation: "0123456789ab" as Version.Incarnation
})

const operation = (
  kind: Operation["kind"],
  [began, ended]: Span,
  outcome: Outcome | undefined,
  details: Partial<Operation>
): Operation => ({
  id: began,
  client: 1,
  node: "node1",
  kind,
  key: "key",
  value: undefined,
  quorum: 2,
  began,
  beganMillis: began * 1000,
  ended: outcome === undefined ? 0 : ended,
  endedMillis: outcome === undefined ? 0 : ended * 1000,
  outcome,
  ...details
})

/** Acknowledged with a version of this counter. */
export const put = (value: string, span: Span, counter: number, details: Partial<Operation> = {}): Operation =>
  operation("put", span, { _tag: "Ok", version: at(counter), value }, { value, ...details })

export const remove = (span: Span, counter: number, details: Partial<Operation> = {}): Operation =>
  operation("delete", span, { _tag: "Ok", version: at(counter), value: undefined }, details)

/** Without a counter the key is absent; without a value it is deleted. */
export const get = (
  span: Span,
  counter?: number,
  value?: string,
  details: Partial<Operation> = {}
): Operation =>
  operation("get", span, { _tag: "Ok", version: counter === undefined ? undefined : at(counter), value }, details)

export const unknownPut = (value: string, span: Span, details: Partial<Operation> = {}): Operation =>
  operation("put", span, unknown("WriteQuorumNotReached"), { value, ...details })

export const unknownRemove = (span: Span, details: Partial<Operation> = {}): Operation =>
  operation("delete", span, unknown("WriteQuorumNotReached"), details)

export const refusedPut = (value: string, span: Span, details: Partial<Operation> = {}): Operation =>
  operation("put", span, notApplied("WriteQuorumNotReached"), { value, ...details })

export const unknown = (error: string): Outcome => ({ _tag: "Unknown", error, detail: "by hand" })
export const notApplied = (error: string): Outcome => ({ _tag: "NotApplied", error, detail: "by hand" })

export const disturbance = (
  disturbed: ReadonlyArray<string>,
  fromSeconds: number,
  toSeconds: number,
  kind = "kill"
): Disturbance => ({ kind, nodes: disturbed, fromMillis: fromSeconds * 1000, toMillis: toSeconds * 1000 })

export const cell = (counter: number, value?: string, key = "key"): FinalCell => ({ key, version: at(counter), value })

/** What three replicas of every key hold; one cell alone stands for all three. */
export const final = (...cells: ReadonlyArray<FinalCell | undefined>): FinalState => ({
  cells: new Map(nodes.map((node, place) => {
    const held = cells.length === 1 ? cells[0] : cells[place]
    return [node, held === undefined ? [] : [held]]
  })),
  replicasOf: () => nodes,
  convergedAfterMillis: 1_000,
  convergenceBoundMillis: 30_000
})

export const run = (operations: ReadonlyArray<Operation>, details: Partial<Run> = {}): Run => ({
  seed: 1,
  replicationFactor: 3,
  operations,
  disturbances: [],
  final: final(),
  alarms: [],
  forgotten: [],
  forgottenHints: [],
  requestTimeoutMillis: 5_000,
  ...details
})

/** The ids of the operations that each violation shows. */
export const shown = (violations: ReadonlyArray<Violation>): ReadonlyArray<ReadonlyArray<number>> =>
  violations.map(({ operations }) => operations.map(({ id }) => id))
