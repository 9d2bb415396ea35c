/** The server around the handlers: pages, operations, peers, refusals of the parser, ports, and stopping. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import { DiskFull } from "../../src/disk/StorageError.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import { Key } from "../../src/domain/Key.ts"
import * as Logging from "../../src/observability/Logging.ts"
import * as PeerCodec from "../../src/peer/PeerCodec.ts"
import { PeerFailed } from "../../src/peer/PeerError.ts"
import * as HttpServer from "../../src/server/HttpServer.ts"
import { type Answer, authorization, gate, isProblem, portOf, send, serve, type Server, serverLayer } from "./client.ts"
import { Cluster, configLayer, member, node1, node2, node3, version } from "./fakes.ts"

const hole = { from: "a", to: "b", counterMax: 9, file: "data/000007.sst", offsetBytes: 0, reason: "on purpose" }

describe("operations", () => {
  it.effect("/livez is ok when all else fails", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      server.cluster.members = []
      server.cluster.storageStats = { ...server.cluster.storageStats, refusing: new DiskFull({ path: "data" }) }
      const answer = yield* server.send("/livez")
      assert.strictEqual(answer.status, 200)
      assert.strictEqual(answer.body.toString(), "ok\n")
      assert.strictEqual((yield* server.send("/livez", { method: "HEAD" })).status, 200)
    }))

  it.effect("/readyz names the failed checks, and all of them when asked", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const ready = yield* server.send("/readyz?verbose")
      assert.strictEqual(ready.status, 200)
      assert.strictEqual(ready.body.toString(), "[+]storage ok\n[+]ring ok\n[+]recovered ok\nok\n")
      assert.strictEqual((yield* server.send("/readyz")).body.toString(), "ok\n")
      server.cluster.replicatorStatus = { ...server.cluster.replicatorStatus, recovering: true }
      const unready = yield* server.send("/readyz")
      assert.strictEqual(unready.status, 503)
      assert.match(unready.body.toString(), /^\[-\]recovered failed: .*\nnot ready\n$/)
      const verbose = yield* server.send("/readyz?verbose")
      assert.match(verbose.body.toString(), /^\[\+\]storage ok\n\[\+\]ring ok\n\[-\]recovered failed: .+\nnot ready\n$/)
    }))

  it.effect("/healthz is 503 only when a quorum is lost", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const states = [["up", 200, "healthy"], ["down", 200, "degraded"]] as const
      for (const [state, status, health] of states) {
        server.cluster.members = [member(node1, "up"), member(node2, "up"), member(node3, state)]
        const answer = yield* server.send("/healthz")
        assert.strictEqual(answer.status, status)
        assert.strictEqual(answer.json()["status"], health)
      }
      server.cluster.members = [member(node1, "up")]
      const lost = yield* server.send("/healthz")
      assert.strictEqual(lost.status, 503)
      assert.strictEqual(lost.json()["status"], "unavailable")
    }))

  it.effect("/cluster shows members and ring", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const cluster = (yield* server.send("/cluster")).json()
      assert.deepInclude(cluster, { node: "node1", replicationFactor: 3, ring: { epoch: 3, partitions: 4 } })
      assert.lengthOf(cluster["members"] as Array<unknown>, 3)
    }))

  it.effect("/metrics is Prometheus' text, counted and sampled", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      yield* server.put("/kv/a", "1")
      server.cluster.storageStats = {
        ...server.cluster.storageStats,
        refusing: new DiskFull({ path: "data" }),
        holes: [hole]
      }
      const answer = yield* server.send("/metrics")
      assert.strictEqual(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
      const lines = answer.body.toString().split("\n")
      const expected = [
        `rondo_members{liveness="up"} 3`,
        `rondo_members{liveness="down"} 0`,
        `rondo_partitions{state="with-all-replicas"} 4`,
        `rondo_hints_pending{peer="node2"} 5`,
        `rondo_requests_total{operation="put",outcome="ok"} 1`,
        "rondo_flushes_total 3",
        "rondo_lamport_counter 43",
        "rondo_requests_in_flight 0",
        "rondo_storage_refusing 1",
        "rondo_recovering 0",
        "rondo_storage_damaged 0",
        "rondo_storage_holes 1",
        "rondo_scrub_done_bytes 700",
        "rondo_scrub_size_bytes 5000",
        "rondo_scrub_passes_total 2",
        "rondo_scrub_damaged_total 0",
        "rondo_scrub_last_pass_timestamp_seconds 1700000000",
        "rondo_ranges_repaired_total 6",
        "rondo_cells_repaired_total 7"
      ]
      assert.includeMembers(lines, expected)
      for (const line of lines) assert.match(line, /^$|^# (HELP|TYPE) rondo_|^rondo_[a-z_]+(\{.*\})? [0-9.e+-]+$/)
    }))
})

describe("pages", () => {
  it.effect("the description and its page need nothing from outside", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const document = (yield* server.send("/openapi.json")).json()
      assert.strictEqual(document["openapi"], "3.1.0")
      assert.property(document["paths"], "/kv/{key}")
      const page = yield* server.send("/docs")
      assert.include(page.headers["content-type"], "text/html")
      assert.notMatch(page.body.toString().slice(0, 2000), /<script[^>]* src=|<link[^>]* href=/)
      assert.include((yield* server.send("/")).body.toString(), "/kv/{key}")
    }))

  it.effect("other paths are 404, other methods 405 with the allowed ones", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      for (const path of ["/nowhere", "/livez/", "//livez", "/LIVEZ", "/kv"]) {
        const answer = yield* server.send(path)
        assert.deepInclude(answer.json(), { status: 404, _tag: "NotFound" }, path)
      }
      const allowed = {
        "/livez": "GET, HEAD",
        "/gossip": "POST",
        "/docs": "GET, HEAD",
        "/internal/cells": "GET, HEAD, POST"
      }
      for (const [path, allow] of Object.entries(allowed)) {
        const answer = yield* server.send(path, { method: "DELETE" })
        assert.deepInclude(answer.json(), { status: 405, _tag: "MethodNotAllowed" })
        assert.strictEqual(answer.headers.allow, allow)
      }
    }))
})

describe("peers", () => {
  it.effect("need the secret, and get a problem for a body that is no message", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const post = (headers: Http.OutgoingHttpHeaders, body: string | Uint8Array = "{}") =>
        server.send("/gossip", { method: "POST", headers: { "content-type": "application/json", ...headers }, body })
      const refused: ReadonlyArray<readonly [answer: Answer, status: number, kind: string]> = [
        [yield* post({}), 401, "PeerUnauthorized"],
        [yield* post({ authorization: "Bearer guess" }), 401, "PeerUnauthorized"],
        [yield* post({ authorization }), 400, "BadRequest"],
        [yield* post({ authorization, "content-type": "text/css" }), 415, "UnsupportedMediaType"],
        [yield* post({ authorization }, new Uint8Array(16 * 1024 * 1024 + 1)), 413, "BodyTooLarge"]
      ]
      for (const [answer, status, kind] of refused) {
        assert.isFalse(isProblem(answer, status, kind)["retryable"])
        assert.strictEqual(answer.headers["www-authenticate"], status === 401 ? "Bearer" : undefined)
      }
    }))
})

describe("batches of peers", () => {
  const key = Key.make("k")
  const cell: Cell = { key, version: version(7), value: { bytes: Buffer.from("v"), contentType: "text/plain" } }
  const writes = PeerCodec.encodeWrites([cell])
  const reads = PeerCodec.encodeReads([{ key, full: true }])
  const headers = { authorization, "content-type": "application/octet-stream" }

  it.effect("are answered in the protocol's bytes", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      server.cluster.receive = (cells) => Effect.succeed(cells.map(() => ({ _tag: "Accepted", replaced: true })))
      server.cluster.answer = (requests) => Effect.succeed(requests.map(() => ({ version: cell.version, cell })))
      const written = yield* server.send("/internal/kv", { method: "POST", headers, body: writes })
      assert.strictEqual(written.headers["content-type"], "application/octet-stream")
      assert.deepStrictEqual(PeerCodec.decodeWriteAnswers(written.body), [{ _tag: "Accepted", replaced: true }])
      // In chunks too, and on one connection.
      const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
      for (const body of [reads, [reads.subarray(0, 1), reads.subarray(1)]]) {
        const read = yield* server.send("/internal/read", { method: "POST", headers, body, agent })
        assert.strictEqual(read.status, 200)
        assert.isTrue(read.body.equals(PeerCodec.encodeReadAnswers([{ version: cell.version, cell }])))
      }
      agent.destroy()
    }))

  const refusal = (reason: PeerFailed["reason"]) => () =>
    Effect.fail(new PeerFailed({ peer: "node1", reason, detail: "x" }))
  const refusals: ReadonlyArray<readonly [path: string, body: Uint8Array, status: number, kind: string]> = [
    ["/internal/kv", Buffer.from("no message"), 400, "PeerMessageRefused"],
    ["/internal/kv", Buffer.alloc(16 * 1024 * 1024 + 1), 400, "PeerMessageRefused"],
    ["/internal/kv", writes, 400, "PeerMessageRefused"],
    ["/internal/read", reads, 409, "ReplicaRecovering"]
  ]
  it.effect("are refused with a problem that names the kind", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      server.cluster.receive = refusal("refused")
      server.cluster.answer = refusal("recovering")
      isProblem(yield* server.send("/internal/kv", { method: "POST", body: writes }), 401, "PeerUnauthorized")
      for (const [path, body, status, kind] of refusals) {
        isProblem(yield* server.send(path, { method: "POST", headers, body }), status, kind)
      }
      server.cluster.answer = refusal("storage")
      const answer = yield* server.send("/internal/read", { method: "POST", headers, body: reads })
      isProblem(answer, 507, "ReplicaStorageFailed")
    }))
})

describe("comparisons of peers", () => {
  const headers = { authorization, "content-type": "application/json" }
  const versions = (range?: object) => JSON.stringify({ partitions: [0], ...(range && { range }) })

  it.effect("says with the digests whether they lack cells that were lost to damage", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      for (const isDamaged of [false, true]) {
        server.cluster.digests = { digests: ["00-0"], isDamaged }
        const answer = yield* server.send("/internal/digests", { headers: { authorization } })
        assert.deepStrictEqual(answer.json(), { digests: ["00-0"], ...(isDamaged && { damaged: true }) })
      }
    }))

  it.effect("refuses versions of a range that it cannot vouch for, and no others", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const options = { method: "POST", headers }
      const refusals = { storage: [507, "ReplicaStorageFailed"], recovering: [409, "ReplicaRecovering"] } as const
      for (const [reason, [status, kind]] of Object.entries(refusals)) {
        const failure = new PeerFailed({ peer: "node1", reason: reason as PeerFailed["reason"], detail: "x" })
        server.cluster.vouch = Effect.fail(failure)
        const refused = yield* server.send("/internal/versions", { ...options, body: versions({ from: "a", to: "b" }) })
        assert.deepInclude(refused.json(), { status, _tag: kind })
        const given = yield* server.send("/internal/versions", { ...options, body: versions() })
        assert.deepInclude({ status: given.status, body: given.body.toString() }, {
          status: 200,
          body: `{"end":true}\n`
        })
      }
      server.cluster.vouch = Effect.void
      const vouched = yield* server.send("/internal/versions", { ...options, body: versions({ from: "a", to: "b" }) })
      assert.strictEqual(vouched.status, 200)
    }))
})

describe("a peer that reads a stream slowly", () => {
  it.effect("keeps its connection for longer than a client does, and only for that stream", () =>
    Effect.gen(function*() {
      const waits: Array<number> = []
      const watched = (socket: Net.Socket) => {
        const { setTimeout } = socket
        socket.setTimeout = (millis, listener) => {
          waits.push(millis)
          return setTimeout.call(socket, millis, listener)
        }
      }
      const layer = HttpServer.layer((options) => Http.createServer(options).on("connection", watched))
      const services = yield* Layer.build(Layer.provide(layer, [new Cluster().layer, configLayer()]))
      const port = portOf(Context.get(services, HttpServer.BoundAddress))
      const ask = (proof: string) => {
        const headers = { authorization: proof, "content-type": "application/json", connection: "keep-alive" }
        return send(port, "/internal/versions", { method: "POST", headers, body: `{"partitions":[0]}` })
      }
      assert.strictEqual((yield* ask("Bearer x")).status, 401)
      assert.notInclude(waits, 600_000)
      assert.strictEqual((yield* ask(authorization)).status, 200)
      assert.include(waits.slice(0, -1), 600_000)
      assert.isBelow(waits.at(-1)!, 600_000)
    }))
})

describe("requests that the parser refuses", () => {
  const get = (path: string, headers = "Host: x\r\n") => `GET ${path} HTTP/1.1\r\n${headers}\r\n`
  const put = (headers: string) => `PUT /kv/a HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n`
  const refused: ReadonlyArray<readonly [what: string, bytes: string, status: number, kind: string]> = [
    ["a head of more than 16 KiB", get("/livez", `X: ${"x".repeat(17_000)}\r\n`), 431, "HeadersTooLarge"],
    ["a path of more than 16 KiB", get(`/kv/${"k".repeat(17_000)}`), 431, "HeadersTooLarge"],
    ["a request without a host", get("/kv/a", ""), 400, "BadRequest"],
    ["an unknown expectation", get("/kv/a", "Host: x\r\nExpect: a miracle\r\n"), 417, "ExpectationFailed"],
    ["a method that does not exist", "FROB /kv/a HTTP/1.1\r\nHost: x\r\n\r\n", 400, "BadRequest"],
    ["bytes that are not HTTP", "hello\r\n\r\n", 400, "BadRequest"],
    ["raw bytes in the path", get("/kv/\u00e9"), 400, "BadRequest"],
    ["a length that is no number", put("Content-Length: 1x"), 400, "BadRequest"],
    ["a body of two lengths", put("Content-Length: 1\r\nTransfer-Encoding: chunked"), 400, "BadRequest"],
    ["a chunk without a length", `${put("Transfer-Encoding: chunked")}zz\r\n`, 400, "BadRequest"]
  ]
  it.effect.each(refused)(
    "%s is answered with a problem, and the connection closed",
    ([, bytes, status, kind]) =>
      Effect.gen(function*() {
        const server = yield* serve()
        const text = yield* server.raw(Buffer.from(bytes, "latin1"))
        assert.isTrue(text.startsWith(`HTTP/1.1 ${status} `), text)
        const [head, body] = text.split("\r\n\r\n")
        assert.include(head!.toLowerCase(), "content-type: application/problem+json")
        assert.include(head!.toLowerCase(), "connection: close")
        assert.deepInclude(JSON.parse(body!), { status, _tag: kind })
        assert.isEmpty(server.cluster.writes)
        assert.strictEqual((yield* server.send("/livez")).status, 200)
      })
  )
})

it.effect("an upgrade that this node does not offer is answered as if nobody had asked for it", () =>
  Effect.gen(function*() {
    const server = yield* serve()
    yield* server.put("/kv/a", "value")
    for (const path of ["/kv/a", "/livez"]) {
      const text = yield* server.raw(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n`)
      assert.match(text, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n(value|ok\n)$/)
    }
  }))

it.effect("a server of HTTPS is served like one of HTTP, its lane too", () =>
  Effect.gen(function*() {
    // A key that both sides share stands for a certificate.
    const psk = Buffer.from("a key that both sides share")
    const tls = { ciphers: "PSK", maxVersion: "TLSv1.2" } as const
    const layer = HttpServer.layer((options) => Https.createServer({ ...options, ...tls, pskCallback: () => psk }))
    const address = Context.get(
      yield* Layer.build(Layer.provide(layer, [new Cluster().layer, configLayer()])),
      HttpServer.BoundAddress
    )
    const agent = new Https.Agent({
      ...tls,
      checkServerIdentity: () => undefined,
      pskCallback: () => ({ psk, identity: "test" })
    })
    const statusOf = (method: string, path: string, body = "") =>
      Effect.callback<number | undefined, Error>((resume) => {
        Https.request(
          { port: portOf(address), path, method, agent },
          (response) => resume(Effect.succeed(response.resume().statusCode))
        ).on("error", (error) => resume(Effect.fail(error))).end(body)
      })
    assert.strictEqual(yield* statusOf("PUT", "/kv/a", "1"), 201)
    assert.strictEqual(yield* statusOf("GET", "/kv/a"), 200)
    assert.strictEqual(yield* statusOf("GET", "/livez"), 200)
  }))

it.effect("a port that cannot be had is named in the error, with the system's code", () =>
  Effect.gen(function*() {
    const { port } = yield* serve()
    const ports = [
      [`127.0.0.1:${port}`, "EADDRINUSE", "is taken: stop what listens there"],
      ["192.0.2.1:80", "EADDRNOTAVAIL", "cannot listen on 192.0.2.1:80: EADDRNOTAVAIL"]
    ] as const
    for (const [listen, code, message] of ports) {
      const layer = serverLayer.pipe(Layer.provide([new Cluster().layer, configLayer({ listen })]))
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
      assert.deepInclude(error, { _tag: "CannotListen", address: listen, code })
      assert.include(error.message, message)
    }
  }))

describe("a stop", () => {
  it.effect("is logged when it begins", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const collect = Logger.map(Logging.human, (line) => lines.push(line))
      const server = yield* serve().pipe(Effect.provide(Logger.layer([collect])))
      assert.deepStrictEqual(lines, [])
      yield* server.stop
      assert.match(lines.join(), /INFO {2}node1 is stopping, and finishes the requests in flight$/)
    }))

  /** A PUT that waits inside the coordinator. */
  const waiting = Effect.fnUntraced(function*(server: Server, agent: Http.Agent) {
    const { entered, release } = yield* gate(server)
    const client = yield* Effect.forkChild(Effect.exit(server.send("/kv/a", { method: "PUT", body: "1", agent })))
    yield* entered
    return { client, release }
  })

  const refusesConnections = (port: number) =>
    Effect.callback<boolean>((resume) => {
      const socket = Net.connect(port, "127.0.0.1")
      socket.on("connect", () => {
        socket.destroy()
        resume(Effect.succeed(false))
      })
      socket.on("error", () => resume(Effect.succeed(true)))
    })

  it.effect("takes no more connections, finishes the requests under way, and closes idle connections", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const agent = new Http.Agent({ keepAlive: true })
      yield* server.send("/livez", { agent })
      const { client, release } = yield* waiting(server, agent)
      const stopped = yield* Effect.forkChild(server.stop)
      yield* Effect.repeat(refusesConnections(server.port), { until: (refused) => refused })
      assert.isUndefined(stopped.pollUnsafe())
      yield* release
      const answer = yield* Effect.flatten(Fiber.join(client))
      assert.strictEqual(answer.status, 201)
      // Otherwise the stop would wait for the connection's next request.
      assert.strictEqual(answer.headers.connection, "close")
      yield* Fiber.join(stopped)
      agent.destroy()
    }))

  it.effect.each([true, false])(
    "cuts the requests that are not done after three seconds, lane %s",
    (isLaneOpen) =>
      Effect.gen(function*() {
        const server = yield* serve({}, isLaneOpen)
        const agent = new Http.Agent({ keepAlive: true })
        // Half a head: a request that never comes.
        const half = yield* Effect.forkChild(server.raw("GET /livez HTTP/1.1\r\n"))
        const { client } = yield* waiting(server, agent)
        const stopped = yield* Effect.forkChild(server.stop)
        yield* Effect.repeat(refusesConnections(server.port), { until: (refused) => refused })
        yield* TestClock.adjust("2999 millis")
        assert.isUndefined(stopped.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(stopped)
        const answer = yield* Effect.flatten(Fiber.join(client))
        assert.deepInclude(isProblem(answer, 503, "Stopping"), { outcome: "unknown" })
        assert.deepInclude(answer.headers, { "retry-after": "1", connection: "close" })
        assert.strictEqual(yield* Fiber.join(half), "")
        agent.destroy()
      })
  )
})
