/**
 * Every error that a client meets, as an RFC 9457 problem: one class for each kind, with its HTTP status. `_tag` names
 * the kind for programs, `detail` is a sentence for people, `retryable` says whether the same request may succeed
 * later, and `outcome`, on writes, whether this one took effect.
 */
import { Schema } from "effect"
import { missing, Outcome } from "../coordinator/CoordinatorError.ts"
import { problem } from "../peer/PeerProblem.ts"

/** Long enough to let a queue drain, short enough not to be noticed. */
export const retryAfterSeconds = 1

/** The write certainly did not happen. */
const notApplied = { outcome: Schema.tag("not-applied") }

export class InvalidKey extends problem<InvalidKey>()("InvalidKey", 400, "The key is not valid") {}

export class KeyTooLong extends problem<KeyTooLong>()("KeyTooLong", 414, "The key is too long", {
  limitBytes: Schema.Int,
  gotBytes: Schema.Int
}) {}

export class InvalidParameter
  extends problem<InvalidParameter>()("InvalidParameter", 400, "A query parameter is not valid", {
    parameter: Schema.String,
    allowed: Schema.String
  })
{}

export class InvalidContentType
  extends problem<InvalidContentType>()("InvalidContentType", 400, "The content type cannot be kept", {
    limitBytes: Schema.Int
  })
{}

export class UnsupportedEncoding
  extends problem<UnsupportedEncoding>()("UnsupportedEncoding", 415, "The content encoding cannot be kept")
{}

export class ValueTooLarge extends problem<ValueTooLarge>()("ValueTooLarge", 413, "The value is too large", {
  ...notApplied,
  limitBytes: Schema.Int
}) {}

/** Conditional and partial writes come later; ignoring the condition would lose somebody's data. */
export class NotImplemented extends problem<NotImplemented>()("NotImplemented", 501, "Not supported yet", {
  ...notApplied,
  header: Schema.String
}) {}

export class KeyNotFound
  extends problem<KeyNotFound>()("KeyNotFound", 404, "The key has no value", { key: Schema.String })
{}

export class WriteQuorumFailed
  extends problem<WriteQuorumFailed>(true)("WriteQuorumFailed", 503, "Too few replicas took the write", {
    outcome: Outcome,
    ...missing
  })
{}

export class ReadQuorumFailed
  extends problem<ReadQuorumFailed>(true)("ReadQuorumFailed", 503, "Too few replicas answered", { ...missing })
{}

export class Overloaded extends problem<Overloaded>(true)("Overloaded", 503, "Too many requests are under way", {
  ...notApplied,
  limit: Schema.Int
}) {}

export class NotFound extends problem<NotFound>()("NotFound", 404, "Nothing is at this path") {}

export class InvalidSnapshotName
  extends problem<InvalidSnapshotName>()("InvalidSnapshotName", 400, "The name of the snapshot is not valid")
{}

export class SnapshotExists
  extends problem<SnapshotExists>()("SnapshotExists", 409, "A snapshot of this name is there already")
{}

export class SnapshotNotFound
  extends problem<SnapshotNotFound>()("SnapshotNotFound", 404, "There is no snapshot of this name")
{}

/** This node's disk refused; `detail` says why. */
export class StorageFailed
  extends problem<StorageFailed>(true)("StorageFailed", 507, "The disk of this node refused")
{}

export class MethodNotAllowed
  extends problem<MethodNotAllowed>()("MethodNotAllowed", 405, "The method does not exist at this path", {
    allowed: Schema.Array(Schema.String)
  })
{}

/** HTTP itself or a declared schema refused the request. */
export class BadRequest extends problem<BadRequest>()("BadRequest", 400, "The request cannot be understood") {}

/** A declared payload of another content type. */
export class UnsupportedMediaType
  extends problem<UnsupportedMediaType>()("UnsupportedMediaType", 415, "The content type does not exist at this path")
{}

export class RequestTimeout
  extends problem<RequestTimeout>(true)("RequestTimeout", 408, "The request arrived too slowly")
{}

export class BodyTooLarge extends problem<BodyTooLarge>()("BodyTooLarge", 413, "The body is too large") {}

export class ExpectationFailed
  extends problem<ExpectationFailed>()("ExpectationFailed", 417, "The expectation cannot be met")
{}

export class HeadersTooLarge
  extends problem<HeadersTooLarge>()("HeadersTooLarge", 431, "The request line and headers are too large", {
    limitBytes: Schema.Int
  })
{}

/** A defect of this node: the log has it, the client gets no internals. A write may have been applied. */
export class InternalError
  extends problem<InternalError>(true)("InternalError", 500, "This node failed", { outcome: Schema.tag("unknown") })
{}

/** A request that a stop cut short. A write may have been applied. */
export class Stopping
  extends problem<Stopping>(true)("Stopping", 503, "This node is stopping", { outcome: Schema.tag("unknown") })
{}

/** A problem of any kind. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly _tag: string
  readonly retryable: boolean
}
