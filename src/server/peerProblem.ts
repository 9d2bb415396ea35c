/**
 * Turns the declared refusals of peers' endpoints, which the platform answers as plain JSON or text, into problems.
 *
 * Pure. Whatever the refusal says stays in the document: peers read its `_tag` and `reason`.
 */
import { HttpServerResponse, ProblemDetails } from "effect/http"

type Response = HttpServerResponse.HttpServerResponse

const titles: Readonly<Record<string, readonly [title: string, detail: string]>> = {
  PeerUnauthorized: ["The cluster's secret is missing or wrong", "peers must share this node's CLUSTER_SECRET"],
  PeerMessageRefused: [
    "The message of a peer was refused",
    "the body is not a message of this node's protocol version"
  ],
  GossipRefused: ["This node and its peer do not fit together", "the peer's settings or protocol differ"],
  ReplicaStorageFailed: ["The disk of this node refused", "the node's log has the reason"]
}

/** The members of a refusal in this answer, if it is one. Operators' answers have no `_tag`. */
const refusalIn = ({ body, status }: Response): Readonly<Record<string, unknown>> | undefined => {
  if (body._tag !== "Uint8Array" || body.contentType === ProblemDetails.contentType) return undefined
  const text = Buffer.from(body.body).toString()
  if (status === 415) return { _tag: "UnsupportedMediaType", detail: text.toLowerCase() }
  if (!body.contentType.startsWith("application/json")) return undefined
  const members: unknown = JSON.parse(text)
  return typeof members === "object" && members !== null && "_tag" in members ? { ...members } : undefined
}

/** The same answer, as a problem if it is a refusal. */
export const asProblem = (response: Response): Response => {
  const { status } = response
  const refusal = status < 400 ? undefined : refusalIn(response)
  if (refusal === undefined) return response
  const [title, detail] = titles[String(refusal["_tag"])] ?? ["The request of a peer was refused", "see the kind"]
  const document = {
    type: ProblemDetails.blankType,
    title,
    status,
    detail: refusal["reason"] ?? detail,
    retryable: status >= 500,
    ...refusal
  }
  const headers = status === 401 ? { "www-authenticate": "Bearer" } : {}
  return HttpServerResponse.text(JSON.stringify(document), { status, contentType: ProblemDetails.contentType, headers })
}
