/** Which answers become problems, and what stays in them. */
import { assert, it } from "@effect/vitest"
import { HttpServerResponse } from "effect/http"
import { asProblem } from "../../src/server/peerProblem.ts"

const documentOf = ({ body }: HttpServerResponse.HttpServerResponse): unknown =>
  body._tag === "Uint8Array" ? JSON.parse(Buffer.from(body.body).toString()) : undefined

it("a refusal keeps its members and says its reason as the detail", () => {
  const answer = asProblem(
    HttpServerResponse.jsonUnsafe({ _tag: "GossipRefused", reason: "N differs" }, { status: 409 })
  )
  assert.strictEqual(answer.status, 409)
  assert.strictEqual(answer.headers["content-type"], "application/problem+json")
  assert.deepStrictEqual(documentOf(answer), {
    type: "about:blank",
    title: "This node and its peer do not fit together",
    status: 409,
    detail: "N differs",
    retryable: false,
    _tag: "GossipRefused",
    reason: "N differs"
  })
})

it("a refusal's own detail stays, and a failed disk is worth another try", () => {
  const answer = asProblem(
    HttpServerResponse.jsonUnsafe({ _tag: "ReplicaStorageFailed", detail: "disk full" }, { status: 507 })
  )
  assert.deepInclude(documentOf(answer), { detail: "disk full", retryable: true, status: 507 })
})

it("a kind that nobody named is a problem too", () => {
  const answer = asProblem(HttpServerResponse.jsonUnsafe({ _tag: "Other" }, { status: 400 }))
  assert.deepInclude(documentOf(answer), { _tag: "Other", title: "The request of a peer was refused" })
})

it("answers that refuse nothing stay as they are", () => {
  const answers = [
    HttpServerResponse.jsonUnsafe({ _tag: "GossipRefused" }, { status: 200 }),
    HttpServerResponse.jsonUnsafe({ status: "unavailable" }, { status: 503 }),
    HttpServerResponse.text("[-]ring failed\nnot ready\n", { status: 503 }),
    HttpServerResponse.text("{}", { status: 404, contentType: "application/problem+json" }),
    HttpServerResponse.empty({ status: 404 })
  ]
  for (const answer of answers) assert.strictEqual(asProblem(answer), answer)
})
