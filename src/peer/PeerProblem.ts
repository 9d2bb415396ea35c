/** Why a node refuses a peer. `api/Problem.ts` has the errors that clients meet, and explains the members. */
import { Schema } from "effect"
import { HttpApiError } from "effect/http-api"

/** Declares a kind of RFC 9457 problem. Its type is made from its tag. */
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

export class PeerUnauthorized
  extends problem<PeerUnauthorized>()("PeerUnauthorized", 401, "The cluster's secret is missing or wrong")
{}

export class PeerMessageRefused
  extends problem<PeerMessageRefused>()("PeerMessageRefused", 400, "The message of a peer was refused")
{}

/** The settings or the protocol differ, or two nodes use one id. The sender should report it and not retry soon. */
export class GossipRefused
  extends problem<GossipRefused>()("GossipRefused", 409, "This node and its peer do not fit together")
{}

/** This node may have lost writes that it acknowledged, so its answers do not count yet. */
export class ReplicaRecovering
  extends problem<ReplicaRecovering>(true)("ReplicaRecovering", 409, "This node is still recovering")
{}

export class ReplicaStorageFailed
  extends problem<ReplicaStorageFailed>(true)("ReplicaStorageFailed", 507, "The disk of this node refused")
{}
