/**
 * Why a node refuses a peer, as RFC 9457 problems: one class for each kind, with its HTTP status. `api/Problem.ts` has
 * those that clients meet, and the meaning of the members.
 */
import { Schema } from "effect"
import { HttpApiError } from "effect/http-api"

/** The members of every problem. */
export const tagged = <const Tag extends string, const Retryable extends boolean>(tag: Tag, retryable: Retryable) => ({
  _tag: Schema.tag(tag),
  detail: Schema.String,
  retryable: Schema.tag(retryable)
})

/** The request does not prove knowledge of the cluster's secret. */
export class PeerUnauthorized extends HttpApiError.Problem<PeerUnauthorized>()("PeerUnauthorized", {
  type: "urn:rondo:problem:peer-unauthorized",
  status: 401,
  title: "The cluster's secret is missing or wrong"
}, tagged("PeerUnauthorized", false)) {}

/** The body is not a message of this protocol version. */
export class PeerMessageRefused extends HttpApiError.Problem<PeerMessageRefused>()("PeerMessageRefused", {
  type: "urn:rondo:problem:peer-message-refused",
  status: 400,
  title: "The message of a peer was refused"
}, tagged("PeerMessageRefused", false)) {}

/** The settings or the protocol differ, or two nodes use one id. The sender should report it and not retry soon. */
export class GossipRefused extends HttpApiError.Problem<GossipRefused>()("GossipRefused", {
  type: "urn:rondo:problem:gossip-refused",
  status: 409,
  title: "This node and its peer do not fit together"
}, tagged("GossipRefused", false)) {}

/** This node has a new data directory and may have lost writes that it acknowledged: its answers do not count yet. */
export class ReplicaRecovering extends HttpApiError.Problem<ReplicaRecovering>()("ReplicaRecovering", {
  type: "urn:rondo:problem:replica-recovering",
  status: 409,
  title: "This node is still recovering"
}, tagged("ReplicaRecovering", true)) {}

/** This node's disk refused; `detail` says why. */
export class ReplicaStorageFailed extends HttpApiError.Problem<ReplicaStorageFailed>()("ReplicaStorageFailed", {
  type: "urn:rondo:problem:replica-storage-failed",
  status: 507,
  title: "The disk of this node refused"
}, tagged("ReplicaStorageFailed", true)) {}

export type PeerProblem =
  | PeerUnauthorized
  | PeerMessageRefused
  | GossipRefused
  | ReplicaRecovering
  | ReplicaStorageFailed
