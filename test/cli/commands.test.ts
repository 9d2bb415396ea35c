import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { type Request } from "../../src/cli/Http.ts"
import * as FakeHttp from "./FakeHttp.ts"
import { cluster, health } from "./pages.ts"
import { run } from "./run.ts"

const problem = (status: number, members: Record<string, unknown>) => FakeHttp.answer(status, JSON.stringify(members))
const urls = ["--url", "node1:1,http://node2:2"]

describe("put", () => {
  it.effect("sends the value as text with the options and says what became of it", () =>
    Effect.gen(function*() {
      const asked: Array<Request> = []
      const http = FakeHttp.layer(() => FakeHttp.answer(201, "", { etag: "\"1-node1-0123456789ab\"" }), asked)
      const out = yield* run(["put", "a/b c", "né", "--w", "all", "--timeout", "2s"], { http })
      assert.strictEqual(out.result, "created a/b c \"1-node1-0123456789ab\"\n")
      assert.strictEqual(asked[0]!.path, "/kv/a%2Fb%20c?w=all&timeout=2s")
      assert.strictEqual(asked[0]!.origin, "http://127.0.0.1:8081")
      assert.deepStrictEqual(asked[0]!.headers, { "content-type": "text/plain; charset=utf-8" })
      assert.strictEqual(Buffer.from(asked[0]!.body!).toString(), "né")
    }))

  it.effect("reads standard input or a file when no value is given", () =>
    Effect.gen(function*() {
      const asked: Array<Request> = []
      const http = FakeHttp.layer(() => FakeHttp.answer(204), asked)
      const piped = yield* run(["put", "k", "--type", "image/png"], { http, stdin: "from a pipe" })
      assert.strictEqual(piped.result, "replaced k\n")
      yield* run(["put", "k", "--file", "package.json"], { http })
      assert.strictEqual(Buffer.from(asked[0]!.body!).toString(), "from a pipe")
      assert.strictEqual(asked[0]!.headers!["content-type"], "image/png")
      assert.include(Buffer.from(asked[1]!.body!).toString(), "\"name\": \"rondo\"")
      const missing = yield* run(["put", "k", "--file", "/nowhere"], { http })
      assert.include(missing.notice, "cannot read the value")
    }))

  const mistakes = [
    [["put", "", "v"], "1 to 1024 bytes"],
    [["put", "k".repeat(1025), "v"], "1 to 1024 bytes"],
    [["put", "k", "v", "--file", "f"], "not both"],
    [["put", "k", "v", "--url", "http://a/b"], "\"http://a/b\" is not the address of a node"],
    [["put", "k", "v", "--url", " , "], "names no node"]
  ] as const
  it.effect.each(mistakes)("refuses %s without asking a node: %s", ([parameters, message]) =>
    Effect.gen(function*() {
      const asked: Array<Request> = []
      const out = yield* run(parameters, { http: FakeHttp.layer(() => FakeHttp.answer(204), asked) })
      assert.isFalse(out.succeeded)
      assert.include(out.notice, message)
      assert.strictEqual(asked.length, 0)
    }))

  const passing = [
    ["is away", FakeHttp.unreachable("http://node1:1")],
    ["refuses for now", problem(503, { _tag: "WriteQuorumFailed" })],
    ["does not answer", "hang"]
  ] as const
  it.effect.each(passing)("goes to the next node when one %s", ([, first]) =>
    Effect.gen(function*() {
      const asked: Array<Request> = []
      const http = FakeHttp.layer(({ origin }) => origin === "http://node1:1" ? first : FakeHttp.answer(201), asked)
      const fiber = yield* Effect.forkChild(run(["put", "k", "v", ...urls], { http }))
      yield* TestClock.adjust("31 seconds")
      assert.isTrue((yield* Fiber.join(fiber)).succeeded)
      assert.deepStrictEqual(asked.map(({ origin }) => origin), ["http://node1:1", "http://node2:2"])
    }))

  it.effect("says why the last node failed, with the outcome of the write", () =>
    Effect.gen(function*() {
      const http = FakeHttp.layer(() =>
        problem(503, { _tag: "WriteQuorumFailed", detail: "1 of 2 replicas took the write", outcome: "unknown" })
      )
      const out = yield* run(["put", "k", "v", ...urls], { http })
      assert.strictEqual(
        out.notice,
        "rondo: http://node2:2 answered 503 WriteQuorumFailed: 1 of 2 replicas took the write (outcome: unknown)\n"
      )
      const gone = yield* run(["put", "k", "v"], { http: FakeHttp.layer(({ origin }) => FakeHttp.unreachable(origin)) })
      assert.strictEqual(gone.notice, "rondo: cannot connect to http://127.0.0.1:8081: is a node running there?\n")
    }))

  it.effect("does not repeat elsewhere what is wrong everywhere", () =>
    Effect.gen(function*() {
      const asked: Array<Request> = []
      const http = FakeHttp.layer(() => FakeHttp.answer(413, "no problem document"), asked)
      const out = yield* run(["put", "k", "v", ...urls], { http })
      assert.strictEqual(out.notice, "rondo: 413\n")
      assert.strictEqual(asked.length, 1)
    }))
})

describe("get and delete", () => {
  it.effect("prints the bytes alone into a pipe, and ends the line on a terminal", () =>
    Effect.gen(function*() {
      const http = FakeHttp.layer(() => FakeHttp.answer(200, "value"))
      assert.strictEqual((yield* run(["get", "k"], { http })).result, "value")
      assert.strictEqual((yield* run(["get", "k"], { http, isTerminal: true })).result, "value\n")
    }))

  it.effect("asks for the envelope and the replicas it was told to", () =>
    Effect.gen(function*() {
      const asked: Array<Request> = []
      const http = FakeHttp.layer(() => FakeHttp.answer(200, "{}"), asked)
      assert.strictEqual((yield* run(["get", "..", "--json", "--r", "one"], { http })).result, "{}\n")
      assert.strictEqual(asked[0]!.path, "/kv/%2E%2E?r=one")
      assert.deepStrictEqual(asked[0]!.headers, { accept: "application/json" })
    }))

  it.effect("fails with a sentence when there is no such key, and when the node refuses", () =>
    Effect.gen(function*() {
      const absent = yield* run(["get", "k"], { http: FakeHttp.layer(() => FakeHttp.answer(404)) })
      assert.deepStrictEqual([absent.result, absent.notice, absent.succeeded], ["", "rondo: key not found: k\n", false])
      const refused = yield* run(["get", "."], {
        http: FakeHttp.layer(() => problem(400, { title: "Bad", detail: "why" }))
      })
      assert.strictEqual(refused.notice, "rondo: 400 Bad: why\n")
    }))

  it.effect("deletes", () =>
    Effect.gen(function*() {
      const asked: Array<Request> = []
      const http = FakeHttp.layer(() => FakeHttp.answer(204), asked)
      assert.strictEqual((yield* run(["delete", "k", "--w", "1"], { http })).result, "deleted k\n")
      assert.deepStrictEqual([asked[0]!.method, asked[0]!.path], ["DELETE", "/kv/k?w=1"])
      const refused = yield* run(["delete", "k"], { http: FakeHttp.layer(() => FakeHttp.answer(400)) })
      assert.isFalse(refused.succeeded)
    }))
})

describe("status", () => {
  const pages = (healthStatus: string, status = 200) =>
    FakeHttp.layer(({ origin, path }) =>
      origin === "http://node1:1"
        ? FakeHttp.unreachable(origin)
        : path === "/cluster"
        ? FakeHttp.answer(200, JSON.stringify(cluster))
        : FakeHttp.answer(status, JSON.stringify({ ...health, status: healthStatus }))
    )

  it.effect("shows the first node's view that it gets", () =>
    Effect.gen(function*() {
      const out = yield* run(["status", ...urls], { http: pages("healthy") })
      assert.isTrue(out.succeeded)
      assert.include(out.result, "healthy: 4 of 4 partitions")
      const json = JSON.parse((yield* run(["status", "--json", ...urls], { http: pages("healthy") })).result)
      assert.strictEqual(json.cluster.members.length, 3)
      assert.strictEqual(json.health.status, "healthy")
    }))

  it.effect("shows an unavailable cluster and fails", () =>
    Effect.gen(function*() {
      const out = yield* run(["status", ...urls], { http: pages("unavailable", 503) })
      assert.include(out.result, "unavailable: ")
      assert.isFalse(out.succeeded)
    }))

  it.effect("says when no node answers, or what answers is no node", () =>
    Effect.gen(function*() {
      const away = yield* run(["status"], { http: FakeHttp.layer(({ origin }) => FakeHttp.unreachable(origin)) })
      assert.include(away.notice, "cannot connect to")
      const other = yield* run(["status"], { http: FakeHttp.layer(() => FakeHttp.answer(404, "<html>")) })
      assert.include(other.notice, "http://127.0.0.1:8081 is not a Rondo node: it answered 404")
      const fiber = yield* Effect.forkChild(run(["status"], { http: FakeHttp.layer(() => "hang") }))
      yield* TestClock.adjust("11 seconds")
      assert.include((yield* Fiber.join(fiber)).notice, "did not answer within 10s")
    }))
})
