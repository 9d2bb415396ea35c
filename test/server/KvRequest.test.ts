import { assert, describe, it } from "@effect/vitest"
import { Duration, Schema } from "effect"
import { pathOf } from "../../src/api/KvApi.ts"
import * as Problem from "../../src/api/Problem.ts"
import * as KvRequest from "../../src/server/KvRequest.ts"

/** Characters that paths, escapes and routers treat each in their own way. */
const characters = [..."aZ7/%?#;+ ~:=&\"\\\u0000é€😀", "//", "%25", ".."]
const Pieces = Schema.Array(Schema.Literals(characters)).check(Schema.isMinLength(1), Schema.isMaxLength(30))

describe("the key of a request", () => {
  it.prop("is the key whose path was asked for, whatever its characters", { pieces: Pieces }, ({ pieces }) => {
    const key = pieces.join("")
    assert.strictEqual<unknown>(KvRequest.keyOf(pathOf(key)), key)
    assert.strictEqual<unknown>(KvRequest.keyOf(`/kv/${encodeURIComponent(key)}?w=1&x=/kv/other`), key)
  })

  it.prop("is decoded exactly once", { pieces: Pieces }, ({ pieces }) => {
    const once = encodeURIComponent(pieces.join(""))
    assert.strictEqual<unknown>(KvRequest.keyOf(`/kv/${encodeURIComponent(once)}`), once)
  })

  const kept: ReadonlyArray<readonly [path: string, key: string]> = [
    ["/kv/users/42", "users/42"],
    ["/kv/a/", "a/"],
    ["/kv//a//b", "/a//b"],
    ["/kv/a;b=c", "a;b=c"],
    ["/kv/A", "A"],
    ["/kv/a+b~c:d@e", "a+b~c:d@e"],
    ["/kv/../x", "../x"],
    ["/kv/%E2%82%AC", "€"],
    ["/kv/%00", "\u0000"],
    ["/kv/%2525", "%25"],
    ["/kv/%2F%3F", "/?"],
    ["/kv/kv/", "kv/"],
    ["http://127.0.0.1:8081/kv/a//b?r=1", "a//b"]
  ]
  it.each(kept)("of %s is %j", (path, key) => {
    assert.strictEqual<unknown>(KvRequest.keyOf(path), key)
  })

  it.each(["/kv/", "/kv/?w=1", "/kv/%", "/kv/%zz", "/kv/%ff", "/kv/%c0%af", "/kv/%ed%a0%80", "/kv/a%2"])(
    "is refused as invalid in %s",
    (path) => {
      assert.instanceOf(KvRequest.keyOf(path), Problem.InvalidKey)
    }
  )

  it.each(["/kv", "/KV/a", "/%6bv/a", "http://127.0.0.1:8081"])("is not looked for in %s", (path) => {
    assert.instanceOf(KvRequest.keyOf(path), Problem.NotFound)
  })

  it("has at most 1,024 bytes, counted in UTF-8", () => {
    assert.strictEqual<unknown>(KvRequest.keyOf(`/kv/${"k".repeat(1024)}`), "k".repeat(1024))
    assert.strictEqual<unknown>(KvRequest.keyOf(`/kv/${"%C3%A9".repeat(512)}`), "é".repeat(512))
    const long = KvRequest.keyOf(`/kv/${"k".repeat(1025)}`)
    assert.instanceOf(long, Problem.KeyTooLong)
    assert.deepInclude(long, { limitBytes: 1024, gotBytes: 1025, status: 414 })
    assert.instanceOf(KvRequest.keyOf(`/kv/${"%C3%A9".repeat(513)}`), Problem.KeyTooLong)
  })
})

describe("the options of a request", () => {
  const options = (query: string, quorum: "r" | "w" = "w", replicationFactor = 3) =>
    KvRequest.optionsOf(`/kv/a${query}`, quorum, replicationFactor)
  const nothing = { replicas: undefined, timeout: undefined }

  it("are the defaults when there is no query or an empty one", () => {
    assert.deepStrictEqual(options(""), nothing)
    assert.deepStrictEqual(options("?"), nothing)
    assert.deepStrictEqual(options("?&"), nothing)
  })

  const quorums: ReadonlyArray<readonly [query: string, replicationFactor: number, replicas: number]> = [
    ["?w=1", 3, 1],
    ["?w=3", 3, 3],
    ["?w=one", 3, 1],
    ["?w=all", 5, 5],
    ["?w=quorum", 3, 2],
    ["?w=quorum", 4, 3],
    ["?w=quorum", 5, 3],
    ["?w=quorum", 1, 1],
    ["?%77=2", 3, 2],
    ["?consistency=one", 3, 1],
    ["?consistency=quorum", 3, 2],
    ["?consistency=all", 3, 3]
  ]
  it.each(quorums)("%s of %i replicas waits for %i", (query, replicationFactor, replicas) => {
    assert.deepStrictEqual(options(query, "w", replicationFactor), { replicas, timeout: undefined })
  })

  const timeouts: ReadonlyArray<readonly [text: string, millis: number]> = [
    ["1", 1],
    ["500", 500],
    ["500ms", 500],
    ["2s", 2000],
    ["0.5s", 500],
    ["60s", 60_000],
    ["60000", 60_000]
  ]
  it.each(timeouts)("timeout=%s is %i ms", (text, millis) => {
    assert.deepStrictEqual(options(`?timeout=${text}`), { replicas: undefined, timeout: Duration.millis(millis) })
  })

  const refused = Object.entries({
    w: ["w=0", "w=4", "w=-1", "w=1.5", "w=", "w", "w=two", "w=%zz", "w=1e0", "w=1&w=2"],
    timeout: ["timeout=0", "timeout=0.9", "timeout=60001", "timeout=61s", "timeout=1m", "timeout=soon", "timeout="],
    consistency: ["consistency=strong", "consistency=linearizable", "consistency=one&w=1"],
    r: ["r=1"],
    W: ["W=1"],
    tiemout: ["tiemout=1"],
    ttl: ["ttl=1"]
  }).flatMap(([parameter, queries]) => queries.map((query) => [`?${query}`, parameter] as const))
  it.each(refused)("%s is refused, naming %s and what is allowed", (query, parameter) => {
    const problem = options(query) as Problem.InvalidParameter
    assert.instanceOf(problem, Problem.InvalidParameter)
    assert.strictEqual(problem.parameter, parameter)
    assert.include(problem.detail, problem.allowed)
  })

  it("say that linearizable is not supported yet", () => {
    assert.include((options("?consistency=linearizable") as Problem.InvalidParameter).detail, "not supported yet")
  })

  it("of a read are r and not w", () => {
    assert.deepStrictEqual(options("?r=2", "r"), { replicas: 2, timeout: undefined })
    assert.instanceOf(options("?w=2", "r"), Problem.InvalidParameter)
  })

  it("that are long are shortened in the answer", () => {
    const problem = options(`?${"x".repeat(5000)}=1`) as Problem.InvalidParameter
    assert.isBelow(problem.detail.length, 300)
  })
})

describe("the headers of a write", () => {
  it("keep the content type as it was sent", () => {
    assert.strictEqual(
      KvRequest.contentTypeOf({ "content-type": "Text/HTML; charset=UTF-8" }),
      "Text/HTML; charset=UTF-8"
    )
    assert.strictEqual(KvRequest.contentTypeOf({}), "application/octet-stream")
    assert.strictEqual(KvRequest.contentTypeOf({ "content-type": "" }), "application/octet-stream")
    assert.strictEqual(KvRequest.contentTypeOf({ "content-type": "t".repeat(255) }), "t".repeat(255))
  })

  it.each(["t".repeat(256), "text/pläin", "text\tplain"])("refuse the content type %s", (contentType) => {
    assert.instanceOf(KvRequest.contentTypeOf({ "content-type": contentType }), Problem.InvalidContentType)
  })

  it.each(["if-match", "if-none-match", "if-unmodified-since", "if-modified-since", "content-range"])(
    "refuse %s, which would be ignored",
    (header) => {
      const problem = KvRequest.unsupported({ [header]: "x" })
      assert.instanceOf(problem, Problem.NotImplemented)
      assert.deepInclude(problem, { status: 501, header, outcome: "not-applied" })
    }
  )

  it("refuse a content encoding, which would be lost", () => {
    assert.instanceOf(KvRequest.unsupported({ "content-encoding": "gzip" }), Problem.UnsupportedEncoding)
    assert.isUndefined(KvRequest.unsupported({ "content-encoding": "Identity" }))
    assert.isUndefined(KvRequest.unsupported({ accept: "*/*" }))
  })
})

describe("the headers of a read", () => {
  it.each(["application/json", "Application/JSON ; q=0.5", "text/html, application/json;q=0.9"])(
    "Accept: %s asks for the envelope",
    (accept) => {
      assert.isTrue(KvRequest.wantsEnvelope(accept))
    }
  )

  const others = ["text/html, */*;q=0.8", "application/json;q=0.000, */*", "application/*", "application/json-seq"]
  it.each([undefined, "*/*", "application/json;q=0", ...others])("Accept: %s asks for the value", (accept) => {
    assert.isFalse(KvRequest.wantsEnvelope(accept))
  })

  it.each([`"5-a-b"`, `W/"5-a-b"`, `"1", "5-a-b"`, " * "])("If-None-Match: %s names the tag", (ifNoneMatch) => {
    assert.isTrue(KvRequest.matches(ifNoneMatch, `"5-a-b"`))
  })

  it.each([`"5-a-c"`, "5-a-b", ""])("If-None-Match: %s names another", (ifNoneMatch) => {
    assert.isFalse(KvRequest.matches(ifNoneMatch, `"5-a-b"`))
  })
})
