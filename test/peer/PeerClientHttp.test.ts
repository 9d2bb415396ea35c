import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Redacted, Stream } from "effect"
import { TestClock } from "effect/testing"
import { NodeConfig } from "../../src/config/NodeConfig.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import * as CellLine from "../../src/domain/cell/CellLine.ts"
import { Key } from "../../src/domain/Key.ts"
import type { Version } from "../../src/domain/Version.ts"
import * as PeerAuth from "../../src/peer/PeerAuth.ts"
import { PeerClient, type ReadAnswer, type WriteAnswer } from "../../src/peer/PeerClient.ts"
import * as PeerClientHttp from "../../src/peer/PeerClientHttp.ts"
import * as PeerCodec from "../../src/peer/PeerCodec.ts"
import type { PeerFailed } from "../../src/peer/PeerError.ts"
import type { GossipReply } from "../../src/peer/PeerProtocol.ts"
import { plain } from "../domain/arbitraries.ts"
import { bytes, cut, incarnation, json, message, nodeId, PeerServer, record, type Respond, text } from "./PeerServer.ts"

const secret = Redacted.make("shared")
const version: Version = { counter: 51, nodeId, incarnation }
const cell: Cell = { key: Key.make("k"), version, value: { bytes: Buffer.from("v"), contentType: "text/plain" } }
const tombstone: Cell = { key: Key.make("t"), version, value: undefined }
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

const both = Effect.all({ client: PeerClient, server: PeerServer })

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

/** The peer responds like this; the result completes when it sees that a connection on which it did so is closed. */
const closedAfter = ({ respond }: PeerServer["Service"], how: Respond) => {
  const gone = Deferred.makeUnsafe<void>()
  respond((response, request) => {
    response.on("close", () => Deferred.doneUnsafe(gone, Effect.void))
    how(response, request)
  })
  return Deferred.await(gone)
}

const end = `{"end":true}\n`
const accepted: WriteAnswer = { _tag: "Accepted", replaced: false }
const answersOfWrites: ReadonlyArray<WriteAnswer> = [{ _tag: "Superseded", newest: version }, accepted]
const requests = [{ key: cell.key, full: true }, { key: tombstone.key, full: false }]
const answersOfReads: ReadonlyArray<ReadAnswer> = [{ version, cell }, { version: undefined, cell: undefined }]
const reply: GossipReply = { protocol: 1, records: [record], wanted: [nodeId] }
const target = `{"target":"127.0.0.1:9"}`
const versionLine = `{"key":"k","version":"51-node2-9f86d081884c"}\n`
const digestsRequest = "GET /internal/digests"
const damaged = { digests: [], damaged: true }
const range = { from: "a", to: "a\u0000" }

const exchanges: ReadonlyArray<
  readonly [what: string, call: Call, respond: Respond, answer: unknown, request: string, body: string | Uint8Array]
> = [
  [
    "cells, whose answers keep their order",
    (client, address) => client.write(address, [cell, tombstone]),
    bytes(PeerCodec.encodeWriteAnswers(answersOfWrites)),
    answersOfWrites,
    "POST /internal/kv",
    PeerCodec.encodeWrites([cell, tombstone])
  ],
  [
    "reads, whose answers keep their order",
    (client, address) => client.read(address, requests),
    bytes(PeerCodec.encodeReadAnswers(answersOfReads)),
    answersOfReads,
    "POST /internal/read",
    PeerCodec.encodeReads(requests)
  ],
  ["gossip", gossip, json({ ...reply, later: "ignored" }), reply, "POST /gossip", JSON.stringify(message)],
  ["a probe that succeeds", probe, json({ reached: true }), true, "POST /internal/probe", target],
  ["a probe that fails", probe, json({ reached: false }), false, "POST /internal/probe", target],
  ["for digests", digests, json({ digests: ["f-3"] }), { digests: ["f-3"], isDamaged: false }, digestsRequest, ""],
  ["for digests of a damaged node", digests, json(damaged), { digests: [], isDamaged: true }, digestsRequest, ""],
  [
    "for versions",
    versions,
    text(`${versionLine}${versionLine}${end}`),
    [{ key: cell.key, version }, { key: cell.key, version }],
    "POST /internal/versions",
    `{"partitions":[1,2]}`
  ],
  [
    "for versions of a range that the peer must vouch for",
    (client, address) => Stream.runCollect(client.versions(address, [3], range)),
    text(end),
    [],
    "POST /internal/versions",
    JSON.stringify({ partitions: [3], range })
  ]
]

const failures: ReadonlyArray<readonly [what: string, respond: Respond, reason: string, detail: string]> = [
  ["does not know the secret", json({ _tag: "PeerUnauthorized" }, 401), "refused", "PeerUnauthorized"],
  ["runs other settings", json({ _tag: "GossipRefused", detail: "N is 5" }, 409), "refused", "N is 5"],
  ["is recovering", json({ _tag: "ReplicaRecovering" }, 409), "recovering", "ReplicaRecovering"],
  ["has a full disk", json({ _tag: "ReplicaStorageFailed", detail: "no space" }, 507), "storage", "no space"],
  ["is overloaded", json({ _tag: "Overloaded", detail: "1024 requests" }, 503), "overloaded", "1024 requests"],
  ["has had too many requests", text("slow down", 429), "overloaded", "status 429"],
  ["does not know the endpoint", text("", 404), "refused", "status 404"],
  ["has a bug", text("<h1>oops</h1>", 500), "refused", "status 500"],
  ["answers without a body", (response) => response.writeHead(204).end(), "refused", "status 204"],
  ["answers nothing", bytes(new Uint8Array(0)), "bad-answer", ""],
  ["answers noise", bytes(Buffer.alloc(100, 0xff)), "bad-answer", ""],
  ["answers in words", text("hello"), "bad-answer", ""],
  ["cuts the end of a stream", text(`{"end":tru`), "bad-answer", ""],
  ["answers an empty object", json({}), "bad-answer", ""],
  ["answers null", json(null), "bad-answer", ""],
  ["breaks off before the answer", (response) => response.destroy(), "unreachable", ""],
  ["breaks off in an answer of a known length", cut(`{"key":"k",`, 1000), "unreachable", ""],
  ["breaks off in an answer of chunks", cut(`{"key":"k",`), "unreachable", ""]
]

const badAnswers: ReadonlyArray<readonly [what: string, call: Call, respond: Respond]> = [
  [
    "fewer answers than cells, since nobody knows whose they are",
    (client, address) => client.write(address, [cell, tombstone]),
    bytes(PeerCodec.encodeWriteAnswers([accepted]))
  ],
  ["fewer answers than requests", read, bytes(PeerCodec.encodeReadAnswers([]))],
  ["a line that is not a cell", cells, text(`${CellLine.encode(cell)}\n{"key":""}\n${end}`)],
  ["cells without an end", cells, text(`${CellLine.encode(cell)}\n`)],
  ["versions without an end", versions, text(versionLine)]
]

describe("PeerClientHttp", () => {
  it.effect.each(exchanges)(
    "asks %s, with the proof of the secret",
    ([, call, respond, expected, request, body]) =>
      Effect.gen(function*() {
        const { answer, received } = yield* answered(call, respond)
        assert.deepStrictEqual(answer, expected)
        assert.strictEqual(`${received.method} ${received.path}`, request)
        assert.strictEqual(received.headers.authorization, PeerAuth.header(secret))
        assert.deepStrictEqual(received.body, Buffer.from(body))
        if (typeof body !== "string") assert.strictEqual(received.headers["content-type"], "application/octet-stream")
      }).pipe(Effect.provide(services))
  )

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

  it.effect.each(failures)(
    "a peer that %s fails every call",
    ([, respond, reason, detail]) =>
      Effect.gen(function*() {
        for (const [name, call] of Object.entries(calls)) {
          const failure = yield* failed(call, respond)
          assert.strictEqual(failure.reason, reason, name)
          assert.include(failure.detail, detail)
        }
      }).pipe(Effect.provide(services))
  )

  it.effect.each(badAnswers)("is a bad answer: %s", ([, call, respond]) =>
    Effect.gen(function*() {
      assert.strictEqual((yield* failed(call, respond)).reason, "bad-answer")
    }).pipe(Effect.provide(services)))

  it.effect("an address where nobody listens is unreachable", () =>
    Effect.gen(function*() {
      const { client, server } = yield* both
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
      const { client, server } = yield* both
      for (const call of Object.values(calls)) {
        const arrived = yield* Deferred.make<void>()
        const gone = closedAfter(server, () => Deferred.doneUnsafe(arrived, Effect.void))
        const fiber = yield* Effect.forkChild(call(client, server.address))
        yield* Deferred.await(arrived)
        yield* Fiber.interrupt(fiber)
        yield* gone
      }
    }).pipe(Effect.provide(services)))

  it.effect("batches that follow each other use one connection, and batches at the same time one each", () =>
    Effect.gen(function*() {
      const { client, server } = yield* both
      const sockets = new Set<unknown>()
      server.respond((response, request) => {
        sockets.add(response.socket)
        bytes(PeerCodec.encodeWriteAnswers([accepted]))(response, request)
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
      const { client, server } = yield* both
      const sockets = new Set<unknown>()
      const answer = PeerCodec.encodeWriteAnswers([accepted])
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
      const { client, server } = yield* both
      for (const garbage of ["220 smtp ready\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy"]) {
        const gone = closedAfter(server, (response) => response.socket!.write(garbage))
        const failure = yield* Effect.flip(write(client, server.address))
        assert.strictEqual(failure.reason, "unreachable")
        assert.include(failure.detail, "not HTTP")
        yield* gone
      }
    }).pipe(Effect.provide(services)))

  it.effect("a stream that is no longer read lets its connection go", () =>
    Effect.gen(function*() {
      const { client, server } = yield* both
      const gone = closedAfter(server, (response) => response.writeHead(200).write(`${CellLine.encode(cell)}\n`))
      const first = yield* Stream.runHead(client.cells(server.address, [cell.key]))
      assert.strictEqual(first._tag, "Some")
      yield* gone
    }).pipe(Effect.provide(services)))
})
