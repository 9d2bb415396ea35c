/** Every answer of `/kv/*`, over real sockets with a fake Coordinator behind them. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Logger } from "effect"
import { TestClock } from "effect/testing"
import * as Http from "node:http"
import * as Net from "node:net"
import { pathOf } from "../../src/api/KvApi.ts"
import { ReadQuorumNotReached, WriteQuorumNotReached } from "../../src/coordinator/CoordinatorError.ts"
import type { Key } from "../../src/domain/Key.ts"
import * as Logging from "../../src/observability/Logging.ts"
import { gate, isProblem, serve, type Server } from "./client.ts"
import { node2, node3 } from "./fakes.ts"

const tag = "1-node1-9f86d081884c"

/** The server still does its work. */
const stillServes = Effect.fnUntraced(function*(server: Server) {
  assert.isBelow((yield* server.put("/kv/still-there", "yes")).status, 300)
  assert.strictEqual((yield* server.send("/kv/still-there")).body.toString(), "yes")
})

describe("PUT", () => {
  it.effect("answers 201 to a new value and 204 to the next, with version and acknowledgements", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const first = yield* server.put("/kv/a", "1", { "content-type": "text/plain" })
      assert.strictEqual(first.status, 201)
      assert.deepInclude(first.headers, {
        etag: `"${tag}"`,
        "rondo-version": tag,
        "rondo-acks": "2/3",
        "content-length": "0"
      })
      assert.notProperty(first.headers, "transfer-encoding")
      const second = yield* server.put("/kv/a", "2")
      assert.strictEqual(second.status, 204)
      assert.strictEqual(second.headers.etag, `"2-node1-9f86d081884c"`)
    }))

  it.effect("keeps any bytes under any content type, and none", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
      const form = "application/x-www-form-urlencoded"
      for (const type of ["image/png", form, "multipart/form-data; boundary=x", "application/json"]) {
        yield* server.put("/kv/a", bytes, { "content-type": type })
        const answer = yield* server.send("/kv/a")
        assert.deepStrictEqual(new Uint8Array(answer.body), bytes)
        assert.strictEqual(answer.headers["content-type"], type)
      }
      yield* server.put("/kv/a", bytes)
      assert.strictEqual((yield* server.send("/kv/a")).headers["content-type"], "application/octet-stream")
      assert.strictEqual((yield* server.send("/kv/b", { method: "PUT" })).status, 201)
      const empty = yield* server.send("/kv/b")
      assert.deepInclude(empty.headers, { "content-length": "0" })
      assert.strictEqual(empty.body.length, 0)
    }))

  it.effect("takes a body in chunks, up to the limit and not a byte more", () =>
    Effect.gen(function*() {
      const server = yield* serve({ valueBytesMax: 1000 })
      const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
      const half = "x".repeat(500)
      assert.strictEqual((yield* server.put("/kv/a", [half, half])).status, 201)
      assert.strictEqual((yield* server.send("/kv/a")).body.length, 1000)
      for (const body of [[half, half, "x"], "x".repeat(1001)]) {
        const refused = yield* server.send("/kv/a", { method: "PUT", body, agent })
        const problem = isProblem(refused, 413, "ValueTooLarge")
        assert.deepInclude(problem, { limitBytes: 1000, outcome: "not-applied", retryable: false })
        assert.strictEqual(refused.headers.connection, "keep-alive")
        assert.strictEqual((yield* server.send("/kv/a", { agent })).body.length, 1000)
      }
      assert.lengthOf(server.cluster.writes, 1)
      agent.destroy()
    }))

  it.effect("refuses a body far over the limit without waiting for it, and closes the connection", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const head = "PUT /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n"
      const text = yield* server.raw(head)
      assert.include(text, "HTTP/1.1 413")
      assert.include(text.toLowerCase(), "connection: close")
      const chunk = `100000\r\n${"x".repeat(0x100000)}\r\n`
      const endless = yield* server.raw(
        `PUT /kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(10)}`
      )
      assert.include(endless, "HTTP/1.1 413")
      assert.include(endless.toLowerCase(), "connection: close")
      yield* stillServes(server)
    }))

  it.effect("asks for the body that waits for permission, unless it is too large", () =>
    Effect.gen(function*() {
      const server = yield* serve({ valueBytesMax: 1000 })
      const expecting = (length: number, body: string) =>
        `PUT /kv/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\n\r\n${body}`
      const taken = yield* server.raw(expecting(3, "abc"))
      assert.match(taken, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 201/)
      const refused = yield* server.raw(expecting(1001, ""))
      assert.match(refused, /^HTTP\/1\.1 413/)
    }))

  it.effect("hands the options of the query to the coordinator", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      yield* server.put("/kv/a?w=all&timeout=250ms", "1")
      yield* server.put("/kv/a", "1")
      assert.deepStrictEqual(server.cluster.writes, [
        { key: "a", options: { w: 3, timeout: Duration.millis(250) } },
        { key: "a", options: { w: undefined, timeout: undefined } }
      ])
    }))

  it.effect("says whether a write that too few replicas took had an effect", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const failures = [{ node: node2, reason: "down" }, { node: node3, reason: "timeout" }]
      for (const outcome of ["not-applied", "unknown"] as const) {
        server.cluster.writeFailure = new WriteQuorumNotReached({ wanted: 2, got: 1, replicas: 3, outcome, failures })
        for (const method of ["PUT", "DELETE"]) {
          const answer = yield* server.send("/kv/a", { method })
          const problem = isProblem(answer, 503, "WriteQuorumFailed")
          assert.deepInclude(problem, { wanted: 2, got: 1, replicas: 3, outcome, failures, retryable: true })
          assert.strictEqual(answer.headers["retry-after"], "1")
        }
      }
    }))
})

describe("GET", () => {
  it.effect("answers the bytes, safe against a browser that guesses", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      yield* server.put("/kv/page", "<script>", { "content-type": "text/html" })
      const answer = yield* server.send("/kv/page")
      assert.strictEqual(answer.status, 200)
      assert.strictEqual(answer.body.toString(), "<script>")
      assert.deepInclude(answer.headers, {
        etag: `"${tag}"`,
        "rondo-version": tag,
        "content-type": "text/html",
        "content-length": "8",
        "cache-control": "no-cache",
        "x-content-type-options": "nosniff",
        vary: "accept"
      })
    }))

  it.effect("answers every byte of values of any length, to requests sent ahead in their order", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const lengths = [0, 1, 4095, 4096, 4097, 100_000]
      const valueOf = (length: number) => Buffer.from(Uint8Array.from({ length }, (_, index) => index * 7))
      for (const length of lengths) yield* server.put(`/kv/${length}`, valueOf(length))
      const heads = lengths.map((length) => `GET /kv/${length} HTTP/1.1\r\nHost: x\r\n`)
      const answers = yield* server.raw(`${heads.join("\r\n")}Connection: close\r\n\r\n`)
      const bodies = answers.split(/HTTP\/1\.1 200 OK\r\n/).slice(1).map((answer) =>
        answer.slice(answer.indexOf("\r\n\r\n") + 4)
      )
      assert.deepStrictEqual(bodies, lengths.map((length) => valueOf(length).toString("latin1")))
      for (const length of lengths) {
        const { body, headers } = yield* server.send(`/kv/${length}`)
        assert.strictEqual(headers["content-length"], String(length))
        assert.isTrue(body.equals(valueOf(length)))
      }
    }))

  it.effect("drops the body of a GET, and the connection stays usable", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      yield* server.put("/kv/a", "1")
      const get = "GET /kv/a HTTP/1.1\r\nHost: x\r\n"
      const text = yield* server.raw(`${get}Content-Length: 5\r\n\r\nhello${get}Connection: close\r\n\r\n`)
      assert.strictEqual(text.split("HTTP/1.1 200 OK").length, 3)
    }))

  it.effect("answers octets for a kept type that no header can carry", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      for (const contentType of ["a\r\nset-cookie: b", "a\u0000", "text/é", "x".repeat(256), ""]) {
        server.cluster.apply("a" as Key, { bytes: Uint8Array.of(1), contentType })
        const answer = yield* server.send("/kv/a")
        assert.strictEqual(answer.status, 200)
        assert.strictEqual(answer.headers["content-type"], "application/octet-stream")
      }
    }))

  it.effect("answers an envelope to a client that names JSON: text as it is, other bytes in base64", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const headers = { accept: "application/json" }
      yield* server.put(pathOf("a/é"), "Zoë", { "content-type": "text/plain" })
      const text = yield* server.send(pathOf("a/é"), { headers })
      assert.strictEqual(text.headers["content-type"], "application/json")
      assert.strictEqual(text.headers.etag, `"${tag}"`)
      assert.deepStrictEqual(text.json(), { key: "a/é", value: "Zoë", version: tag, contentType: "text/plain" })
      yield* server.put("/kv/b", Uint8Array.of(0xff, 0x00))
      const binary = yield* server.send("/kv/b", { headers })
      assert.deepInclude(binary.json(), { value: "/wA=", encoding: "base64" })
    }))

  it.effect("answers 304 to a client that has this version", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      yield* server.put("/kv/a", "1")
      for (const method of ["GET", "HEAD"]) {
        const same = yield* server.send("/kv/a", { method, headers: { "if-none-match": `"x", W/"${tag}"` } })
        assert.strictEqual(same.status, 304)
        assert.strictEqual(same.headers.etag, `"${tag}"`)
        assert.strictEqual(same.body.length, 0)
        assert.strictEqual((yield* server.send("/kv/a", { method, headers: { "if-none-match": `"x"` } })).status, 200)
      }
    }))

  it.effect("answers 404 to a key without a value, and tells a deletion from an absence", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const absent = yield* server.send("/kv/a")
      assert.deepInclude(isProblem(absent, 404, "KeyNotFound"), { key: "a", retryable: false })
      assert.notProperty(absent.headers, "rondo-deleted")
      yield* server.send("/kv/a", { method: "DELETE" })
      const deleted = yield* server.send("/kv/a", { headers: { "if-none-match": "*" } })
      isProblem(deleted, 404, "KeyNotFound")
      assert.strictEqual(deleted.headers["rondo-deleted"], tag)
    }))

  it.effect("says which replicas did not answer", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const failures = [{ node: node2, reason: "unreachable" }]
      server.cluster.readFailure = new ReadQuorumNotReached({ wanted: 2, got: 1, replicas: 3, failures })
      const answer = yield* server.send("/kv/a?r=2")
      assert.deepInclude(isProblem(answer, 503, "ReadQuorumFailed"), { wanted: 2, got: 1, failures })
      assert.strictEqual(answer.headers["retry-after"], "1")
      assert.deepStrictEqual(server.cluster.reads, [{ key: "a", options: { r: 2, timeout: undefined } }])
    }))
})

it.effect("HEAD answers like GET, without the body", () =>
  Effect.gen(function*() {
    const server = yield* serve()
    yield* server.put("/kv/a", "12345", { "content-type": "text/plain" })
    const { date: _, ...got } = (yield* server.send("/kv/a")).headers
    const head = yield* server.send("/kv/a", { method: "HEAD" })
    assert.deepInclude(head.headers, got)
    assert.strictEqual(head.headers["content-length"], "5")
    assert.strictEqual(head.body.length, 0)
    assert.strictEqual((yield* server.send("/kv/b", { method: "HEAD" })).status, 404)
  }))

it.effect("DELETE answers 204 with the tombstone's version, also when there was nothing", () =>
  Effect.gen(function*() {
    const server = yield* serve()
    for (const version of [tag, "2-node1-9f86d081884c"]) {
      const answer = yield* server.send("/kv/a?w=1", { method: "DELETE" })
      assert.strictEqual(answer.status, 204)
      assert.deepInclude(answer.headers, { etag: `"${version}"`, "rondo-acks": "2/3" })
    }
  }))

describe("keys", () => {
  const keys = [
    "users/42",
    "a//b/",
    "/",
    "a;b",
    "A",
    "a b+c%20",
    "~:@!$&'()*,=",
    "ключ/€/😀",
    "\u0000",
    "..",
    "?",
    "x".repeat(1024)
  ]
  it.effect("are kept as they are, even where the router would change them", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      for (const key of keys) {
        assert.strictEqual((yield* server.put(pathOf(key), `of ${key}`)).status, 201, key)
        const escaped = `/kv/${encodeURIComponent(key)}`
        assert.strictEqual((yield* server.send(escaped)).body.toString(), `of ${key}`, key)
      }
      assert.sameMembers([...server.cluster.cells.keys()], keys)
    }))

  it.effect("are taken from a request target in absolute form too", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const text = yield* server.raw(
        "PUT http://somewhere:80/kv/a//b?w=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nv"
      )
      assert.include(text, "HTTP/1.1 201")
      assert.deepStrictEqual([...server.cluster.cells.keys()], ["a//b"])
    }))
})

describe("bad input", () => {
  const long = "k".repeat(1025)
  const refusals: ReadonlyArray<
    readonly [what: string, method: string, path: string, headers: object, status: number, kind: string]
  > = [
    ["an empty key", "PUT", "/kv/", {}, 400, "InvalidKey"],
    ["no key", "GET", "/kv", {}, 404, "NotFound"],
    ["a broken escape", "GET", "/kv/%zz", {}, 400, "InvalidKey"],
    ["an escape that is not UTF-8", "PUT", "/kv/%ff", {}, 400, "InvalidKey"],
    ["a broken escape, deleted", "DELETE", "/kv/%", {}, 400, "InvalidKey"],
    ["a key that is too long", "PUT", `/kv/${long}`, {}, 414, "KeyTooLong"],
    ["more replicas than there are", "PUT", "/kv/a?w=4", {}, 400, "InvalidParameter"],
    ["more answers than there are", "GET", "/kv/a?r=4", {}, 400, "InvalidParameter"],
    ["a misspelt option", "DELETE", "/kv/a?tiemout=1", {}, 400, "InvalidParameter"],
    ["a long content type", "PUT", "/kv/a", { "content-type": `text/${"x".repeat(255)}` }, 400, "InvalidContentType"],
    ["an encoded body", "PUT", "/kv/a", { "content-encoding": "gzip" }, 415, "UnsupportedEncoding"],
    ["a compressed transfer", "PUT", "/kv/a", { "transfer-encoding": "gzip, chunked" }, 501, "NotImplemented"],
    ["a conditional write", "PUT", "/kv/a", { "if-match": `"1"` }, 501, "NotImplemented"],
    ["a conditional delete", "DELETE", "/kv/a", { "if-none-match": "*" }, 501, "NotImplemented"],
    ["another method", "POST", "/kv/a", {}, 405, "MethodNotAllowed"],
    ["a method for an invalid key", "PATCH", "/kv/%zz", {}, 405, "MethodNotAllowed"],
    ["another case", "GET", "/KV/a", {}, 404, "NotFound"]
  ]
  it.effect.each(refusals)(
    "%s is refused on a connection that stays usable",
    ([, method, path, headers, status, kind]) =>
      Effect.gen(function*() {
        const server = yield* serve()
        const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
        const body = method === "GET" ? undefined : "some body"
        const answer = yield* server.send(path, {
          method,
          headers: headers as Http.OutgoingHttpHeaders,
          agent,
          ...(body !== undefined && { body: "transfer-encoding" in headers ? [body] : body })
        })
        isProblem(answer, status, kind)
        if (status === 405) assert.strictEqual(answer.headers.allow, "DELETE, GET, HEAD, PUT")
        const next = yield* server.send("/livez", { agent })
        assert.strictEqual(next.status, 200)
        assert.isEmpty(server.cluster.writes)
        yield* stillServes(server)
        agent.destroy()
      })
  )
})

describe("requests under way", () => {
  const halfBody = "PUT /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf a body"
  const refusesUploads = (server: Server) => Effect.map(server.put("/kv/x", "1"), ({ status }) => status === 503)

  /** A client whose body stays incomplete. No more bodies are taken once its head has arrived. */
  const slowUpload = Effect.fnUntraced(function*(server: Server) {
    const client = yield* Effect.forkChild(server.raw(halfBody))
    yield* Effect.repeat(refusesUploads(server), { until: (refused) => refused })
    return client
  })

  it.effect("are bounded: one more is refused before its body is read, and the place is given back", () =>
    Effect.gen(function*() {
      const server = yield* serve({ requestsInFlightMax: 1 })
      const { entered, release } = yield* gate(server)
      const first = yield* Effect.forkChild(server.put("/kv/a", "1"))
      yield* entered
      // Says that a body follows, and sends none.
      const refused = yield* server.raw("PUT /kv/b HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n")
      assert.include(refused, "HTTP/1.1 503")
      assert.include(refused, "retry-after: 1")
      assert.include(refused, `"_tag":"Overloaded"`)
      assert.include(refused, `"outcome":"not-applied"`)
      isProblem(yield* server.send("/kv/a"), 503, "Overloaded")
      assert.strictEqual((yield* server.send("/livez")).status, 200)
      assert.include((yield* server.send("/metrics")).body.toString(), "\nrondo_requests_in_flight 1\n")
      yield* release
      assert.strictEqual((yield* Fiber.join(first)).status, 201)
      yield* stillServes(server)
    }))

  it.effect("are interrupted when their client goes away, and leave their place", () =>
    Effect.gen(function*() {
      const server = yield* serve({ requestsInFlightMax: 1 })
      const entered = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      server.cluster.before = Deferred.succeed(entered, undefined).pipe(
        Effect.andThen(Effect.never),
        Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
      )
      const client = yield* Effect.forkChild(server.put("/kv/a", "1"))
      yield* Deferred.await(entered)
      yield* Fiber.interrupt(client)
      yield* Deferred.await(interrupted)
      server.cluster.before = Effect.void
      yield* stillServes(server)
    }))

  it.effect("do not wait for the rest of a body whose client has gone", () =>
    Effect.gen(function*() {
      const server = yield* serve({ requestsInFlightMax: 1 })
      yield* Fiber.interrupt(yield* slowUpload(server))
      yield* Effect.repeat(refusesUploads(server), { until: (refused) => !refused })
      assert.isFalse(server.cluster.writes.some(({ key }) => key === "a"))
    }))

  it.effect("are no uploads yet: a body that arrives slowly keeps nobody from reading", () =>
    Effect.gen(function*() {
      const server = yield* serve({ requestsInFlightMax: 1 })
      const slow = yield* slowUpload(server)
      isProblem(yield* server.put("/kv/x", "1"), 503, "Overloaded")
      assert.strictEqual((yield* server.send("/kv/b")).status, 404)
      assert.strictEqual((yield* server.send("/kv/b", { method: "DELETE" })).status, 204)
      yield* Fiber.interrupt(slow)
    }))

  it.effect("take no write whose body has arrived when every place is taken", () =>
    Effect.gen(function*() {
      const server = yield* serve({ requestsInFlightMax: 1 })
      const { entered, release } = yield* gate(server)
      const socket = Net.connect(server.port, "127.0.0.1")
      const next = Effect.callback<string>((resume) => {
        socket.once("data", (bytes) => resume(Effect.succeed(bytes.toString())))
      })
      socket.write("PUT /kv/a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
      assert.include(yield* next, "100 Continue")
      const reader = yield* Effect.forkChild(server.send("/kv/b"))
      yield* entered
      socket.write("abc")
      assert.match(yield* next, /^HTTP\/1\.1 503/)
      socket.destroy()
      yield* release
      assert.strictEqual((yield* Fiber.join(reader)).status, 404)
      assert.isEmpty(server.cluster.writes)
    }))

  it.effect("refuse a body that arrives too slowly, and close its connection", () =>
    Effect.gen(function*() {
      const server = yield* serve({ requestsInFlightMax: 1 })
      const slow = yield* slowUpload(server)
      yield* TestClock.adjust("9 seconds")
      isProblem(yield* server.put("/kv/x", "1"), 503, "Overloaded")
      yield* TestClock.adjust("2 seconds")
      const text = yield* Fiber.join(slow)
      assert.match(text, /^HTTP\/1\.1 408/)
      assert.include(text, `"_tag":"RequestTimeout"`)
      assert.include(text.toLowerCase(), "connection: close")
      yield* stillServes(server)
    }))

  it.effect("last until the client has taken the answer", () =>
    Effect.gen(function*() {
      const server = yield* serve({ requestsInFlightMax: 2, valueBytesMax: 8 * 1024 * 1024 })
      yield* server.put("/kv/large", new Uint8Array(8 * 1024 * 1024))
      const socket = Net.connect(server.port, "127.0.0.1").on("error", () => {})
      socket.pause()
      socket.write("GET /kv/large HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2))
      const refused = yield* Effect.repeat(server.send("/kv/a"), { until: ({ status }) => status === 503 })
      isProblem(refused, 503, "Overloaded")
      assert.lengthOf(server.cluster.reads.filter(({ key }) => key === "large"), 2)
      // Both handlers are done, so only the unread answers can hold the places.
      isProblem(yield* server.send("/kv/a"), 503, "Overloaded")
      socket.destroy()
      yield* Effect.repeat(server.send("/kv/a"), { until: ({ status }) => status === 404 })
    }))

  it.effect("are at most sixteen on one connection: the next is refused and ends it", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const { entered, release } = yield* gate(server)
      const client = yield* Effect.forkChild(server.raw("GET /kv/a HTTP/1.1\r\nHost: x\r\n\r\n".repeat(17)))
      yield* entered
      yield* release
      const text = yield* Fiber.join(client)
      assert.lengthOf(text.match(/HTTP\/1\.1 404/g) ?? [], 16)
      assert.lengthOf(text.match(/HTTP\/1\.1 503/g) ?? [], 1)
      assert.include(text, "16 requests of this connection")
      assert.lengthOf(server.cluster.reads, 16)
      // One after the other, a connection may send any number.
      const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
      for (let sent = 0; sent < 20; sent++) assert.strictEqual((yield* server.send("/kv/a", { agent })).status, 404)
      agent.destroy()
    }))
})

it.effect("a defect is a 500 without its internals, logged here, and the next request is served", () =>
  Effect.gen(function*() {
    const lines: Array<string> = []
    const collect = Logger.map(Logging.human, (line) => lines.push(line))
    const server = yield* serve().pipe(Effect.provide(Logger.layer([collect])))
    server.cluster.before = Effect.die(new Error("internal words"))
    const answer = yield* server.put("/kv/a?w=1", "my value")
    const problem = isProblem(answer, 500, "InternalError")
    assert.strictEqual(problem["outcome"], "unknown")
    assert.notInclude(answer.body.toString(), "internal words")
    assert.lengthOf(lines, 1)
    assert.include(lines[0], "PUT /kv/a failed")
    assert.include(lines[0], "internal words")
    assert.notInclude(lines[0], "my value")
    server.cluster.before = Effect.void
    yield* stillServes(server)
  }))
