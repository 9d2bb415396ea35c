/** Why a request to a peer came to nothing. */
import { Schema } from "effect"

export class PeerFailed extends Schema.TaggedError<PeerFailed>()("PeerFailed", {
  /** The peer's node id, or its address while the id is not known. */
  peer: Schema.String,
  /**
   * `unreachable`: no connection, nothing was delivered. `timeout`: it may have been delivered.
   * `refused`: wrong secret, protocol or settings. `recovering`: it lost its disk and does not answer reads yet.
   * `storage`: its disk refused. `overloaded`: its queue, or ours towards it, is full. `bad-answer`: not understood.
   */
  reason: Schema.Literals([
    "unreachable",
    "timeout",
    "refused",
    "recovering",
    "storage",
    "overloaded",
    "bad-answer"
  ]),
  detail: Schema.String
}) {
  override get message() {
    return `${this.peer} ${this.reason}: ${this.detail}`
  }
}
