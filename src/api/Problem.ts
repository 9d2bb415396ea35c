/**
 * Every refusal, as an RFC 9457 problem: one class per kind, its HTTP status with it. `_tag` is the kind's
 * name for programs, `detail` a sentence for people, and the other members are the numbers needed to act on it.
 *
 * `retryable` says whether the same request may succeed later; `outcome`, on writes, whether this one took effect.
 */
import { Schema } from "effect"
import { HttpApiError } from "effect/http-api"
import { missing, Outcome } from "../coordinator/CoordinatorError.ts"
import { type PeerProblem, tagged } from "../peer/PeerProblem.ts"

/** Retry after this many seconds: long enough to let a queue drain, short enough not to be noticed. */
export const retryAfterSeconds = 1

/** Members of an answer to a write that certainly left nothing behind. */
const notApplied = { outcome: Schema.tag("not-applied") }

export class InvalidKey extends HttpApiError.Problem<InvalidKey>()("InvalidKey", {
  type: "urn:rondo:problem:invalid-key",
  status: 400,
  title: "The key is not valid"
}, tagged("InvalidKey", false)) {}

export class KeyTooLong extends HttpApiError.Problem<KeyTooLong>()("KeyTooLong", {
  type: "urn:rondo:problem:key-too-long",
  status: 414,
  title: "The key is too long"
}, { ...tagged("KeyTooLong", false), limitBytes: Schema.Int, gotBytes: Schema.Int }) {}

export class InvalidParameter extends HttpApiError.Problem<InvalidParameter>()("InvalidParameter", {
  type: "urn:rondo:problem:invalid-parameter",
  status: 400,
  title: "A query parameter is not valid"
}, { ...tagged("InvalidParameter", false), parameter: Schema.String, allowed: Schema.String }) {}

export class InvalidContentType extends HttpApiError.Problem<InvalidContentType>()("InvalidContentType", {
  type: "urn:rondo:problem:invalid-content-type",
  status: 400,
  title: "The content type cannot be kept"
}, { ...tagged("InvalidContentType", false), limitBytes: Schema.Int }) {}

export class UnsupportedEncoding extends HttpApiError.Problem<UnsupportedEncoding>()("UnsupportedEncoding", {
  type: "urn:rondo:problem:unsupported-encoding",
  status: 415,
  title: "The content encoding cannot be kept"
}, tagged("UnsupportedEncoding", false)) {}

export class ValueTooLarge extends HttpApiError.Problem<ValueTooLarge>()("ValueTooLarge", {
  type: "urn:rondo:problem:value-too-large",
  status: 413,
  title: "The value is too large"
}, { ...tagged("ValueTooLarge", false), ...notApplied, limitBytes: Schema.Int }) {}

/** Conditional and partial writes come later; ignoring the condition would lose somebody's data. */
export class NotImplemented extends HttpApiError.Problem<NotImplemented>()("NotImplemented", {
  type: "urn:rondo:problem:not-implemented",
  status: 501,
  title: "Not supported yet"
}, { ...tagged("NotImplemented", false), ...notApplied, header: Schema.String }) {}

export class KeyNotFound extends HttpApiError.Problem<KeyNotFound>()("KeyNotFound", {
  type: "urn:rondo:problem:key-not-found",
  status: 404,
  title: "The key has no value"
}, { ...tagged("KeyNotFound", false), key: Schema.String }) {}

export class WriteQuorumFailed extends HttpApiError.Problem<WriteQuorumFailed>()("WriteQuorumFailed", {
  type: "urn:rondo:problem:write-quorum-failed",
  status: 503,
  title: "Too few replicas took the write"
}, {
  ...tagged("WriteQuorumFailed", true),
  outcome: Outcome,
  ...missing
}) {}

export class ReadQuorumFailed extends HttpApiError.Problem<ReadQuorumFailed>()("ReadQuorumFailed", {
  type: "urn:rondo:problem:read-quorum-failed",
  status: 503,
  title: "Too few replicas answered"
}, { ...tagged("ReadQuorumFailed", true), ...missing }) {}

/** Decided before the operation begins, so nothing was sent to any replica. */
export class Overloaded extends HttpApiError.Problem<Overloaded>()("Overloaded", {
  type: "urn:rondo:problem:overloaded",
  status: 503,
  title: "Too many requests are under way"
}, { ...tagged("Overloaded", true), ...notApplied, limit: Schema.Int }) {}

export class NotFound extends HttpApiError.Problem<NotFound>()("NotFound", {
  type: "urn:rondo:problem:not-found",
  status: 404,
  title: "Nothing is at this path"
}, tagged("NotFound", false)) {}

export class InvalidSnapshotName extends HttpApiError.Problem<InvalidSnapshotName>()("InvalidSnapshotName", {
  type: "urn:rondo:problem:invalid-snapshot-name",
  status: 400,
  title: "The name of the snapshot is not valid"
}, tagged("InvalidSnapshotName", false)) {}

export class SnapshotExists extends HttpApiError.Problem<SnapshotExists>()("SnapshotExists", {
  type: "urn:rondo:problem:snapshot-exists",
  status: 409,
  title: "A snapshot of this name is there already"
}, tagged("SnapshotExists", false)) {}

export class SnapshotNotFound extends HttpApiError.Problem<SnapshotNotFound>()("SnapshotNotFound", {
  type: "urn:rondo:problem:snapshot-not-found",
  status: 404,
  title: "There is no snapshot of this name"
}, tagged("SnapshotNotFound", false)) {}

/** This node's disk refused; `detail` says why. */
export class StorageFailed extends HttpApiError.Problem<StorageFailed>()("StorageFailed", {
  type: "urn:rondo:problem:storage-failed",
  status: 507,
  title: "The disk of this node refused"
}, tagged("StorageFailed", true)) {}

export class MethodNotAllowed extends HttpApiError.Problem<MethodNotAllowed>()("MethodNotAllowed", {
  type: "urn:rondo:problem:method-not-allowed",
  status: 405,
  title: "The method does not exist at this path"
}, { ...tagged("MethodNotAllowed", false), allowed: Schema.Array(Schema.String) }) {}

/** HTTP itself or a declared schema refused the request. */
export class BadRequest extends HttpApiError.Problem<BadRequest>()("BadRequest", {
  type: "urn:rondo:problem:bad-request",
  status: 400,
  title: "The request cannot be understood"
}, tagged("BadRequest", false)) {}

/** A declared payload of another content type. */
export class UnsupportedMediaType extends HttpApiError.Problem<UnsupportedMediaType>()("UnsupportedMediaType", {
  type: "urn:rondo:problem:unsupported-media-type",
  status: 415,
  title: "The content type does not exist at this path"
}, tagged("UnsupportedMediaType", false)) {}

export class RequestTimeout extends HttpApiError.Problem<RequestTimeout>()("RequestTimeout", {
  type: "urn:rondo:problem:request-timeout",
  status: 408,
  title: "The request arrived too slowly"
}, tagged("RequestTimeout", true)) {}

export class BodyTooLarge extends HttpApiError.Problem<BodyTooLarge>()("BodyTooLarge", {
  type: "urn:rondo:problem:body-too-large",
  status: 413,
  title: "The body is too large"
}, tagged("BodyTooLarge", false)) {}

export class ExpectationFailed extends HttpApiError.Problem<ExpectationFailed>()("ExpectationFailed", {
  type: "urn:rondo:problem:expectation-failed",
  status: 417,
  title: "The expectation cannot be met"
}, tagged("ExpectationFailed", false)) {}

export class HeadersTooLarge extends HttpApiError.Problem<HeadersTooLarge>()("HeadersTooLarge", {
  type: "urn:rondo:problem:headers-too-large",
  status: 431,
  title: "The request line and headers are too large"
}, { ...tagged("HeadersTooLarge", false), limitBytes: Schema.Int }) {}

/** A defect of this node: the log has it, the client gets no internals. A write may have been applied. */
export class InternalError extends HttpApiError.Problem<InternalError>()("InternalError", {
  type: "urn:rondo:problem:internal-error",
  status: 500,
  title: "This node failed"
}, { ...tagged("InternalError", true), outcome: Schema.tag("unknown") }) {}

export type Problem =
  | InvalidKey
  | KeyTooLong
  | InvalidParameter
  | InvalidContentType
  | UnsupportedEncoding
  | ValueTooLarge
  | NotImplemented
  | KeyNotFound
  | WriteQuorumFailed
  | ReadQuorumFailed
  | Overloaded
  | NotFound
  | InvalidSnapshotName
  | SnapshotExists
  | SnapshotNotFound
  | StorageFailed
  | MethodNotAllowed
  | BadRequest
  | UnsupportedMediaType
  | RequestTimeout
  | BodyTooLarge
  | ExpectationFailed
  | HeadersTooLarge
  | InternalError
  | PeerProblem
