import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Redacted, Stream } from "effect"
import { TestClock } from "effect/testing"
import { NodeConfig } from "../../src/config/NodeConfig.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import * as CellLine from "../../src/domain/cell/CellLine.ts"
import { Key } from "../../src/domain/Key.ts"
import { NodeId } from "../../src/domain/NodeId.ts"
import { Incarnation, type Version } from "../../src/domain/Version.ts"
import * as PeerAuth from "../../src/peer/PeerAuth.ts"
import { PeerClient, type ReadAnswer, type WriteAnswer } from "../../src/peer/PeerClient.ts"
import * as PeerClientHttp from "../../src/peer/PeerClientHttp.ts"
import * as PeerCodec from "../../src/peer/PeerCodec.ts"
import type { PeerFailed } from "../../src/peer/PeerError.ts"
import type { GossipMessage, GossipReply, MemberRecord } from "../../src/peer/PeerProtocol.ts"
import { plain } from "../domain/arbitraries.ts"
import { bytes, cut, json, PeerServer, type Respond, text } from "./PeerServer.ts"

const secret = Redacted.make("shared")
const nodeId = NodeId.make("node2")
const incarnation = Incarnation.make("9f86d081884c")
const version: Version = { counter: 51, nodeId, incarnation }
const cell: Cell = { key: Key.make("k"), version, value: { bytes: Buffer.from("v"), contentType: "text/plain" } }
const tombstone: Cell = { key: Key.make("t"), version, value: undefined }
const record: MemberRecord = {
  nodeId,
  incarnation,
  generation: 1,
  heartbeat: 2,
  address: "127.0.0.1:1",
  vnodes: 100,
  state: "up",
  counter: 3
}
const message: GossipMessage = {
  protocol: 1,
  from: record,
  settings: { replicationFactor: 3, writeQuorum: 2, readQuorum: 2, partitions: 1024 },
  digests: [],
  records: [],
  accused: []
}

/** Fresh for each test, so that none sees another's connections. */
const services = PeerClientHttp.layer.pipe(
  Layer.provide(NodeConfig.layerTest({ clusterSecret: secret })),
  Layer.merge(PeerServer.layer)
)

type Client = PeerClient["Service"]
type Call = (client: Client, address: string) => Effect.Effect<unknown, PeerFailed>

const write: Call = (client, address) => client.write(address, [cell])
const read: Call = (client, address) => client.read(address, [{ key: cell.key, full: true }])
const gossip: Call = (client, address) => client.gossip(address, message)
const probe: Call = (client, address) => client.probe(address, "127.0.0.1:9")
const digests: Call = (client, address) => client.digests(address)
const versions: Call = (client, address) => Stream.runCollect(client.versions(address, [1, 2]))
const cells: Call = (client, address) => Stream.runCollect(client.cells(address, [cell.key, tombstone.key]))

const calls = { write, read, gossip, probe, digests, versions, cells }

/** The result of the call when the peer responds like this, and the request that the peer received. */
const answered = Effect.fnUntraced(function*(call: Call, respond: Respond) {
  const server = yield* PeerServer
  server.respond(respond)
  const answer = yield* call(yield* PeerClient, server.address)
  return { answer, received: server.received.at(-1)! }
})

const failed = Effect.fnUntraced(function*(call: Call, respond: Respond) {
  const server = yield* PeerServer
  server.respond(respond)
  const failure = yield* Effect.flip(call(yield* PeerClient, server.address))
  assert.strictEqual(failure._tag, "PeerFailed")
  assert.strictEqual(failure.peer, server.address)
  return failure
})

describe("PeerClientHttp", () => {
  it.effect("posts cells with the proof of the secret, and hands the answers back in order", () =>
    Effect.gen(function*() {
      const answers: ReadonlyArray<WriteAnswer> = [
        { _tag: "Superseded", newest: version },
        { _tag: "Accepted", replaced: true }
      ]
      const { answer, received } = yield* answered(
        (client, address) => client.write(address, [cell, tombstone]),
        bytes(PeerCodec.encodeWriteAnswers(answers))
      )
      assert.deepStrictEqual(answer, answers)
      assert.strictEqual(received.method, "POST")
      assert.strictEqual(received.path, "/internal/kv")
      assert.strictEqual(received.headers.authorization, PeerAuth.header(secret))
      assert.strictEqual(received.headers["content-type"], "application/octet-stream")
      assert.deepStrictEqual(PeerCodec.decodeWrites(received.body)?.map(plain), [cell, tombstone].map(plain))
    }).pipe(Effect.provide(services)))

  it.effect("posts reads and hands the answers back in order", () =>
    Effect.gen(function*() {
      const requests = [{ key: cell.key, full: true }, { key: tombstone.key, full: false }]
      const answers: ReadonlyArray<ReadAnswer> = [{ version, cell }, { version: undefined, cell: undefined }]
      const { answer, received } = yield* answered(
        (client, address) => client.read(address, requests),
        bytes(PeerCodec.encodeReadAnswers(answers))
      )
      const [first, second] = answer as ReadonlyArray<ReadAnswer>
      assert.deepStrictEqual(plain(first?.cell), plain(cell))
      assert.deepStrictEqual(second, answers[1])
      assert.strictEqual(received.path, "/internal/read")
      assert.strictEqual(received.headers.authorization, PeerAuth.header(secret))
      assert.deepStrictEqual(PeerCodec.decodeReads(received.body), requests)
    }).pipe(Effect.provide(services)))

  it.effect("exchanges gossip", () =>
    Effect.gen(function*() {
      const reply: GossipReply = { protocol: 1, records: [record], wanted: [nodeId] }
      const { answer, received } = yield* answered(gossip, json({ ...reply, later: "ignored" }))
      assert.deepStrictEqual(answer, reply)
      assert.strictEqual(received.path, "/gossip")
      assert.strictEqual(received.headers.authorization, PeerAuth.header(secret))
      assert.deepStrictEqual(JSON.parse(received.body.toString()), message)
    }).pipe(Effect.provide(services)))

  it.effect("asks a peer whether it reaches another", () =>
    Effect.gen(function*() {
      const { answer, received } = yield* answered(probe, json({ reached: true }))
      assert.isTrue(answer)
      assert.strictEqual(received.path, "/internal/probe")
      assert.deepStrictEqual(JSON.parse(received.body.toString()), { target: "127.0.0.1:9" })
      assert.isFalse((yield* answered(probe, json({ reached: false }))).answer)
    }).pipe(Effect.provide(services)))

  it.effect("gets the digests of partitions", () =>
    Effect.gen(function*() {
      const { answer, received } = yield* answered(digests, json({ digests: ["00000000000000ff-3"] }))
      assert.deepStrictEqual(answer, { digests: ["00000000000000ff-3"], isDamaged: false })
      assert.strictEqual(`${received.method} ${received.path}`, "GET /internal/digests")
      const damaged = yield* answered(digests, json({ digests: [], damaged: true }))
      assert.deepStrictEqual(damaged.answer, { digests: [], isDamaged: true })
    }).pipe(Effect.provide(services)))

  it.effect("streams keys and versions up to the end", () =>
    Effect.gen(function*() {
      const line = `{"key":"k","version":"51-node2-9f86d081884c"}`
      const { answer, received } = yield* answered(versions, text(`${line}\n${line}\n{"end":true}\n`))
      assert.deepStrictEqual(answer, [{ key: cell.key, version }, { key: cell.key, version }])
      assert.strictEqual(received.path, "/internal/versions")
      assert.deepStrictEqual(JSON.parse(received.body.toString()), { partitions: [1, 2] })
    }).pipe(Effect.provide(services)))

  it.effect("names the range of keys that the peer is to vouch for", () =>
    Effect.gen(function*() {
      const range = { from: "a", to: "a\u0000" }
      const ofRange: Call = (client, address) => Stream.runCollect(client.versions(address, [3], range))
      const { received } = yield* answered(ofRange, text(`{"end":true}\n`))
      assert.deepStrictEqual(JSON.parse(received.body.toString()), { partitions: [3], range })
    }).pipe(Effect.provide(services)))

  it.effect("streams cells of any bytes, wherever the network cuts them", () =>
    Effect.gen(function*() {
      const contents = ["\u2028", "\ufeffBOM", "\r\n", "\0", "😀", ""].map((text) => Buffer.from(text))
      const sent = [...contents, Buffer.from([0xff])].map((bytes): Cell => ({
        ...cell,
        key: Key.make("\ufeff\u2028é😀"),
        value: { bytes, contentType: "text/plain" }
      }))
      const whole = Buffer.from([...sent.map(CellLine.encode), `{"end":true}`, ""].join("\n"))
      const { answer, received } = yield* answered(cells, (response) => {
        response.writeHead(200)
        const writeFrom = (offset: number): void => {
          if (offset === whole.length) response.end()
          else response.write(whole.subarray(offset, offset + 1), () => writeFrom(offset + 1))
        }
        writeFrom(0)
      })
      assert.deepStrictEqual((answer as ReadonlyArray<Cell>).map(plain), sent.map(plain))
      assert.strictEqual(received.path, "/internal/cells")
      assert.deepStrictEqual(JSON.parse(received.body.toString()), { keys: ["k", "t"] })
    }).pipe(Effect.provide(services)))

  const refusals: ReadonlyArray<readonly [what: string, respond: Respond, reason: string, detail: string]> = [
    ["does not know the secret", json({ _tag: "PeerUnauthorized" }, 401), "refused", "PeerUnauthorized"],
    [
      "runs other settings",
      json({ _tag: "GossipRefused", detail: "REPLICATION_FACTOR 5" }, 409),
      "refused",
      "REPLICATION_FACTOR 5"
    ],
    ["is recovering", json({ _tag: "ReplicaRecovering" }, 409), "recovering", "ReplicaRecovering"],
    [
      "has a full disk",
      json({ _tag: "ReplicaStorageFailed", detail: "no space left" }, 507),
      "storage",
      "no space left"
    ],
    ["is overloaded", json({ _tag: "Overloaded", detail: "1024 requests" }, 503), "overloaded", "1024 requests"],
    ["has had too many requests", text("slow down", 429), "overloaded", "status 429"],
    ["does not know the endpoint", text("", 404), "refused", "status 404"],
    ["has a bug", text("<h1>oops</h1>", 500), "refused", "status 500"],
    ["answers without a body", (response) => response.writeHead(204).end(), "refused", "status 204"]
  ]
  for (const [what, respond, reason, detail] of refusals) {
    it.effect(`a peer that ${what} is reported as ${reason}, by every call`, () =>
      Effect.gen(function*() {
        for (const call of Object.values(calls)) {
          const failure = yield* failed(call, respond)
          assert.strictEqual(failure.reason, reason)
          assert.include(failure.detail, detail)
        }
      }).pipe(Effect.provide(services)))
  }

  it.effect("an answer that is no message of the protocol is a bad answer, to every call", () =>
    Effect.gen(function*() {
      const garbage: ReadonlyArray<Respond> = [
        bytes(new Uint8Array(0)),
        bytes(Buffer.alloc(100, 0xff)),
        text("hello"),
        text(`{"end":tru`),
        json({}),
        json(null)
      ]
      for (const [name, call] of Object.entries(calls)) {
        for (const respond of garbage) assert.strictEqual((yield* failed(call, respond)).reason, "bad-answer", name)
      }
    }).pipe(Effect.provide(services)))

  it.effect("fewer answers than there were cells are a bad answer, since nobody knows whose they are", () =>
    Effect.gen(function*() {
      const one = bytes(PeerCodec.encodeWriteAnswers([{ _tag: "Accepted", replaced: false }]))
      const failure = yield* failed((client, address) => client.write(address, [cell, tombstone]), one)
      assert.strictEqual(failure.reason, "bad-answer")
      const none = bytes(PeerCodec.encodeReadAnswers([]))
      assert.strictEqual((yield* failed(read, none)).reason, "bad-answer")
    }).pipe(Effect.provide(services)))

  it.effect("a line in a stream that is no cell is a bad answer", () =>
    Effect.gen(function*() {
      const lines = [CellLine.encode(cell), `{"key":""}`, `{"end":true}`, ""]
      assert.strictEqual((yield* failed(cells, text(lines.join("\n")))).reason, "bad-answer")
    }).pipe(Effect.provide(services)))

  it.effect("a stream that ends without saying so was cut", () =>
    Effect.gen(function*() {
      for (const call of [versions, cells]) {
        const line = CellLine.encode(cell)
        const failure = yield* failed(call, text(`${line}\n`))
        assert.strictEqual(failure.reason, "bad-answer")
        assert.strictEqual(failure.detail, "the stream was cut")
      }
    }).pipe(Effect.provide(services)))

  it.effect("a connection that breaks in the middle of an answer fails every call", () =>
    Effect.gen(function*() {
      for (const [name, call] of Object.entries(calls)) {
        const failure = yield* failed(call, cut(`{"key":"k",`, 1000))
        assert.strictEqual(failure.reason, "unreachable", name)
        yield* failed(call, cut(`{"key":"k",`))
      }
    }).pipe(Effect.provide(services)))

  it.effect("a connection that breaks before the answer is unreachable", () =>
    Effect.gen(function*() {
      for (const call of Object.values(calls)) {
        const failure = yield* failed(call, (response) => response.destroy())
        assert.strictEqual(failure.reason, "unreachable")
      }
    }).pipe(Effect.provide(services)))

  it.effect("an address where nobody listens is unreachable", () =>
    Effect.gen(function*() {
      const server = yield* PeerServer
      const client = yield* PeerClient
      yield* server.close
      for (const call of Object.values(calls)) {
        const failure = yield* Effect.flip(call(client, server.address))
        assert.strictEqual(failure.reason, "unreachable")
        assert.include(failure.detail, "ECONNREFUSED")
      }
    }).pipe(Effect.provide(services)))

  it.effect("an address that is none is a failure, not a defect", () =>
    Effect.gen(function*() {
      const client = yield* PeerClient
      for (const address of ["", "127.0.0.1:99999", "a b:1"]) {
        for (const call of Object.values(calls)) {
          assert.strictEqual((yield* Effect.flip(call(client, address))).reason, "unreachable")
        }
      }
    }).pipe(Effect.provide(services)))

  it.effect("an interrupted call lets its connection go", () =>
    Effect.gen(function*() {
      const server = yield* PeerServer
      const client = yield* PeerClient
      for (const call of Object.values(calls)) {
        const arrived = yield* Deferred.make<void>()
        const gone = yield* Deferred.make<void>()
        server.respond((response) => {
          response.on("close", () => Deferred.doneUnsafe(gone, Effect.void))
          Deferred.doneUnsafe(arrived, Effect.void)
        })
        const fiber = yield* Effect.forkChild(call(client, server.address))
        yield* Deferred.await(arrived)
        yield* Fiber.interrupt(fiber)
        yield* Deferred.await(gone)
      }
    }).pipe(Effect.provide(services)))

  it.effect("batches that follow each other use one connection, and batches at the same time one each", () =>
    Effect.gen(function*() {
      const server = yield* PeerServer
      const client = yield* PeerClient
      const sockets = new Set<unknown>()
      server.respond((response, request) => {
        sockets.add(response.socket)
        const answer: ReadonlyArray<WriteAnswer> = [{ _tag: "Accepted", replaced: false }]
        if (request.path === "/internal/kv") bytes(PeerCodec.encodeWriteAnswers(answer))(response, request)
      })
      for (let count = 0; count < 5; count++) yield* write(client, server.address)
      assert.strictEqual(sockets.size, 1)
      const calls = [write(client, server.address), write(client, server.address), write(client, server.address)]
      yield* Effect.all(calls, { concurrency: "unbounded" })
      yield* Effect.all(calls, { concurrency: "unbounded" })
      assert.strictEqual(sockets.size, 3)
    }).pipe(Effect.provide(services)))

  it.effect("a connection is used again for 55 seconds, not for longer, and not when the peer wants it closed", () =>
    Effect.gen(function*() {
      const server = yield* PeerServer
      const client = yield* PeerClient
      const sockets = new Set<unknown>()
      const answer = PeerCodec.encodeWriteAnswers([{ _tag: "Accepted", replaced: false }])
      server.respond((response, request) => {
        sockets.add(response.socket)
        bytes(answer)(response, request)
      })
      yield* write(client, server.address)
      yield* TestClock.adjust("54999 millis")
      yield* write(client, server.address)
      assert.strictEqual(sockets.size, 1)
      yield* TestClock.adjust("55 seconds")
      yield* write(client, server.address)
      assert.strictEqual(sockets.size, 2)
      server.respond((response) => {
        sockets.add(response.socket)
        response.shouldKeepAlive = false
        response.end(answer)
      })
      yield* write(client, server.address)
      yield* write(client, server.address)
      assert.strictEqual(sockets.size, 3)
    }).pipe(Effect.provide(services)))

  it.effect("an answer of many pieces is put together", () =>
    Effect.gen(function*() {
      const large: Cell = { ...cell, value: { bytes: Buffer.alloc(1024 * 1024, 65), contentType: "text/plain" } }
      const body = PeerCodec.encodeReadAnswers([{ version, cell: large }])
      const { answer } = yield* answered(read, (response) => {
        response.writeHead(200, { "content-length": String(body.length) })
        response.end(body)
      })
      assert.deepStrictEqual(answer, [{ version, cell: large }])
    }).pipe(Effect.provide(services)))

  it.effect("a peer that does not answer in HTTP is unreachable, and its connection is closed", () =>
    Effect.gen(function*() {
      const server = yield* PeerServer
      const client = yield* PeerClient
      for (const garbage of ["220 smtp ready\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy"]) {
        const gone = yield* Deferred.make<void>()
        server.respond((response) => {
          response.on("close", () => Deferred.doneUnsafe(gone, Effect.void))
          response.socket!.write(garbage)
        })
        const failure = yield* Effect.flip(write(client, server.address))
        assert.strictEqual(failure.reason, "unreachable")
        assert.include(failure.detail, "not HTTP")
        yield* Deferred.await(gone)
      }
    }).pipe(Effect.provide(services)))

  it.effect("a stream that is no longer read lets its connection go", () =>
    Effect.gen(function*() {
      const server = yield* PeerServer
      const client = yield* PeerClient
      const gone = yield* Deferred.make<void>()
      server.respond((response) => {
        response.on("close", () => Deferred.doneUnsafe(gone, Effect.void))
        response.writeHead(200)
        response.write(`${CellLine.encode(cell)}\n`)
      })
      const first = yield* Stream.runHead(client.cells(server.address, [cell.key]))
      assert.strictEqual(first._tag, "Some")
      yield* Deferred.await(gone)
    }).pipe(Effect.provide(services)))
})
