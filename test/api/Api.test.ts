import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { OpenApi } from "effect/http-api"
import { Api } from "../../src/api/Api.ts"
import * as Problem from "../../src/api/Problem.ts"
import * as PeerProblem from "../../src/peer/PeerProblem.ts"
import { documentOf } from "../../src/server/problemResponse.ts"

describe("the OpenAPI document", () => {
  const document = OpenApi.fromApi(Api)
  const key = document.paths["/kv/{key}"]!

  it("holds every endpoint", () => {
    const paths = ["/kv/{key}", "/livez", "/readyz", "/healthz", "/cluster", "/metrics", "/snapshots/{name}", "/gossip"]
    assert.includeMembers(Object.keys(document.paths), paths)
    assert.hasAllKeys(key, ["get", "put", "head", "delete"])
    assert.hasAllKeys(document.paths["/snapshots"]!.post!.responses, ["201", "400", "401", "409", "507"])
  })

  it("asks for the secret at every endpoint of peers and of snapshots, and at no other", () => {
    const operations = Object.entries(document.paths).flatMap(([path, { delete: remove, get, head, post, put }]) =>
      [get, put, head, post, remove].flatMap((operation) => operation === undefined ? [] : [{ path, operation }])
    )
    assert.isAtLeast(operations.length, 20)
    for (const { operation, path } of operations) {
      assert.strictEqual(operation.security.length > 0, /^\/(internal|gossip|snapshots)/.test(path), path)
    }
  })

  it("describes the key and the options of each method", () => {
    for (const [method, quorum] of [["put", "w"], ["delete", "w"], ["get", "r"], ["head", "r"]] as const) {
      const names = key[method]!.parameters.map(({ name }) => name)
      assert.deepStrictEqual(names, ["key", quorum, "consistency", "timeout"])
    }
    assert.strictEqual(key.get!.parameters[0]!.in, "path")
  })

  it("describes raw bodies, the envelope and the ETag", () => {
    assert.deepStrictEqual(key.put!.requestBody!.content["*/*"]!.schema, { type: "string", format: "binary" })
    assert.hasAllKeys(key.get!.responses[200]!.content, ["*/*", "application/json"])
    assert.property(key.get!.responses[200]!.headers, "etag")
    assert.property(key.put!.responses[201]!.headers, "etag")
    assert.property(key.put!.responses[204]!.headers, "rondo-acks")
  })

  it("describes problems by status", () => {
    const problems = (responses: object) =>
      Object.entries(responses as Record<string, OpenApi.OpenApiSpecResponse>)
        .filter(([, response]) => response.content?.["application/problem+json"] !== undefined)
        .map(([status]) => Number(status))
    assert.deepStrictEqual(problems(key.put!.responses), [400, 408, 413, 414, 415, 500, 501, 503])
    assert.deepStrictEqual(problems(key.get!.responses), [400, 404, 414, 500, 503])
  })
})

describe("a problem document", () => {
  it.effect("can be decoded by its own class, with every number it carries", () =>
    Effect.gen(function*() {
      const members = { detail: "x", outcome: "unknown", wanted: 2, got: 1, replicas: 3, failures: [] } as const
      const problem = new Problem.WriteQuorumFailed(members)
      const document = JSON.parse(documentOf(problem)) as Record<string, unknown>
      assert.deepStrictEqual(document, {
        type: "urn:rondo:problem:write-quorum-failed",
        title: "Too few replicas took the write",
        status: 503,
        _tag: "WriteQuorumFailed",
        retryable: true,
        ...members
      })
      const decoded = yield* Schema.decodeUnknownEffect(Problem.WriteQuorumFailed)(document)
      assert.strictEqual(decoded._tag, "WriteQuorumFailed")
    }))

  it("has one type for each kind", () => {
    const kinds = [...Object.values(Problem), ...Object.values(PeerProblem)].flatMap((kind) =>
      typeof kind === "function" && "fields" in kind ? [kind] : []
    )
    const types = kinds.map(({ fields }) => fields.type.ast.literal)
    assert.isAtLeast(kinds.length, 29)
    assert.strictEqual(new Set(types).size, kinds.length)
  })
})
