/**
 * Why a node refuses a peer, as RFC 9457 problems: one class for each kind, with its HTTP status. `api/Problem.ts` has
 * those that clients meet, and the meaning of the members.
 */
import { Schema } from "effect"
import { HttpApiError } from "effect/http-api"

/** Declares a kind of problem, whose type is made of its tag. `isRetryable`: the same request may succeed later. */
export const problem = <Self = never>(isRetryable = false) =>
<
  const Tag extends string,
  const Status extends number,
  const Fields extends HttpApiError.ProblemExtensionFields = {}
>(
  tag: Tag,
  status: Status,
  title: string,
  fields?: Fields
) =>
  HttpApiError.Problem<Self>()(tag, {
    type: `urn:rondo:problem:${tag.replace(/(?<=.)[A-Z]/g, "-$&").toLowerCase()}`,
    status,
    title
  }, { _tag: Schema.tag(tag), detail: Schema.String, retryable: Schema.tag(isRetryable), ...fields! })

/** The request does not prove knowledge of the cluster's secret. */
export class PeerUnauthorized
  extends problem<PeerUnauthorized>()("PeerUnauthorized", 401, "The cluster's secret is missing or wrong")
{}

/** The body is not a message of this protocol version. */
export class PeerMessageRefused
  extends problem<PeerMessageRefused>()("PeerMessageRefused", 400, "The message of a peer was refused")
{}

/** The settings or the protocol differ, or two nodes use one id. The sender should report it and not retry soon. */
export class GossipRefused
  extends problem<GossipRefused>()("GossipRefused", 409, "This node and its peer do not fit together")
{}

/** This node has a new data directory and may have lost writes that it acknowledged: its answers do not count yet. */
export class ReplicaRecovering
  extends problem<ReplicaRecovering>(true)("ReplicaRecovering", 409, "This node is still recovering")
{}

/** This node's disk refused; `detail` says why. */
export class ReplicaStorageFailed
  extends problem<ReplicaStorageFailed>(true)("ReplicaStorageFailed", 507, "The disk of this node refused")
{}
