/** `Replicator`'s writes and reads as plain calls, for quorums: see `Call`. `Replicator.layer` provides both services. */
import { Context } from "effect"
import type { Cell } from "../domain/cell/Cell.ts"
import type { NodeId } from "../domain/NodeId.ts"
import type { ReadAnswer, ReadRequest, WriteAnswer } from "../peer/PeerClient.ts"
import type { PeerFailed } from "../peer/PeerError.ts"
import type { Cancel, Done } from "./Call.ts"

export class ReplicaCalls extends Context.Service<ReplicaCalls, {
  /** Nothing cancels it. */
  readonly write: (replica: NodeId, cell: Cell, done: Done<WriteAnswer, PeerFailed>) => void
  readonly read: (replica: NodeId, request: ReadRequest, done: Done<ReadAnswer, PeerFailed>) => Cancel
}>()("rondo/replication/ReplicaCalls") {}
