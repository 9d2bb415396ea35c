/** A request gets the same answer by the lane and by the declared endpoints, byte for byte. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, Option } from "effect"
import { HttpServerRequest } from "effect/http"
import { KvApi } from "../../../src/api/KvApi.ts"
import { ReadQuorumNotReached, WriteQuorumNotReached } from "../../../src/coordinator/CoordinatorError.ts"
import type { Cell } from "../../../src/domain/cell/Cell.ts"
import { Key } from "../../../src/domain/Key.ts"
import { PeerApi } from "../../../src/peer/PeerApi.ts"
import * as PeerCodec from "../../../src/peer/PeerCodec.ts"
import { PeerFailed } from "../../../src/peer/PeerError.ts"
import type { KvHandlers } from "../../../src/server/KvHandlers.ts"
import type { PeerBatches } from "../../../src/server/PeerHandlers.ts"
import { authorization, serve, type Server } from "../client.ts"
import { type Cluster, node2, version } from "../fakes.ts"

type Endpoint = keyof KvHandlers["Service"] | keyof PeerBatches["Service"]

/** The differences from the usual request of an endpoint. */
interface Case {
  readonly path?: string
  readonly headers?: ReadonlyArray<string>
  readonly body?: string | Uint8Array
}

const key = Key.make("a")
const cell: Cell = { key, version: version(7), value: { bytes: Buffer.from("v"), contentType: "text/plain" } }
const secret = `Authorization: ${authorization}`

const badKeys: ReadonlyArray<Case> = ["", "%zz", "%ff", "a/%", "k".repeat(1025)].map((name) => ({
  path: `/kv/${name}`
}))
const goodKeys: ReadonlyArray<Case> = ["a//b/", "a;b", "%E2%82%AC", "a?timeout=1s"].map((name) => ({
  path: `/kv/${name}`
}))
const reads = [
  {},
  ...badKeys,
  ...goodKeys,
  { path: "/kv/missing" },
  { path: "/kv/a?r=4" },
  { path: "/kv/a?tiemout=1" },
  { headers: ["Accept: application/json"] },
  { headers: ["If-None-Match: *"] },
  { headers: ["Expect: a miracle"] }
]
const writes = [{}, ...badKeys, ...goodKeys, { path: "/kv/a?w=0" }, { headers: ["If-Match: *"] }]
const batches = (message: Uint8Array): ReadonlyArray<Case> => [
  { body: message, headers: [secret] },
  { body: message },
  { body: message, headers: ["Authorization: Bearer guess"] },
  { body: "no message", headers: [secret] },
  { body: message, headers: [secret, "Expect: 100-continue"] }
]

const cases: Readonly<Record<Endpoint, ReadonlyArray<Case>>> = {
  put: [
    ...writes.map((write) => ({ body: "value", ...write })),
    { body: "value", headers: ["Content-Encoding: gzip"] },
    { body: "value", headers: [`Content-Type: ${"x".repeat(256)}`] },
    { body: "value", headers: ["Expect: 100-continue"] },
    { body: "v".repeat(101) },
    { body: "v".repeat(101), headers: ["Expect: 100-continue"] }
  ],
  get: reads,
  head: reads,
  delete: writes,
  write: batches(PeerCodec.encodeWrites([cell])),
  read: batches(PeerCodec.encodeReads([{ key, full: true }]))
}

const endpoints: Readonly<Record<Endpoint, { readonly method: string; readonly path: string }>> = {
  ...KvApi.endpoints,
  write: PeerApi.endpoints.write,
  read: PeerApi.endpoints.read
}

/** The state of the services behind the handlers. */
const situations: Readonly<Record<string, (cluster: Cluster) => void>> = {
  well: () => {},
  "without a quorum": (cluster) => {
    const failure = { wanted: 2, got: 1, replicas: 3, failures: [{ node: node2, reason: "down" }] }
    cluster.writeFailure = new WriteQuorumNotReached({ ...failure, outcome: "unknown" })
    cluster.readFailure = new ReadQuorumNotReached(failure)
    cluster.receive = () => Effect.fail(new PeerFailed({ peer: "node1", reason: "storage", detail: "no space left" }))
    cluster.answer = () => Effect.fail(new PeerFailed({ peer: "node1", reason: "recovering", detail: "x" }))
  },
  "with a defect": (cluster) => {
    cluster.before = Effect.die("a defect")
    cluster.receive = () => Effect.die("a defect")
    cluster.answer = () => Effect.die("a defect")
  }
}

/** Whether each request that reached a service came by the platform. */
const watch = (cluster: Cluster): ReadonlyArray<boolean> => {
  const seen: Array<boolean> = []
  const look = Effect.map(Effect.serviceOption(HttpServerRequest.HttpServerRequest), (request) => {
    seen.push(Option.isSome(request))
  })
  cluster.before = look
  cluster.receive = () => Effect.as(look, [{ _tag: "Accepted", replaced: false }])
  cluster.answer = () => Effect.as(look, [{ version: cell.version, cell }])
  return seen
}

/** Everything that the server answers, but for the date. */
const ask = (server: Server, endpoint: Endpoint, { body = "", headers = [], path }: Case) => {
  const declared = endpoints[endpoint]
  const target = path ?? declared.path.replace("*", key)
  const length = Buffer.byteLength(body)
  const head = [
    `${declared.method} ${target} HTTP/1.1`,
    "Host: x",
    "Connection: close",
    ...(length === 0 ? [] : [`Content-Length: ${length}`]),
    ...headers
  ]
  const sent = Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), Buffer.from(body)])
  return Effect.map(server.raw(sent), (answer) => answer.replace(/\r\nDate: [^\r]*/, ""))
}

describe("the lane and the declared endpoints", () => {
  for (const [situation, prepare] of Object.entries(situations)) {
    it.effect(`answer alike, ${situation}`, () =>
      Effect.gen(function*() {
        const answers: Array<ReadonlyArray<string>> = []
        for (const isLaneOpen of [true, false]) {
          const server = yield* serve({ valueBytesMax: 100 }, isLaneOpen)
          const ways = watch(server.cluster)
          prepare(server.cluster)
          const given: Array<string> = []
          for (const endpoint of Object.keys(cases) as Array<Endpoint>) {
            for (const one of cases[endpoint]) {
              const answer = yield* ask(server, endpoint, one)
              assert.match(answer, /^HTTP\/1\.1 [1-5]/)
              given.push(`${endpoint} ${JSON.stringify(one)}\n${answer}`)
            }
          }
          if (situation === "well") assert.isAtLeast(ways.length, 30)
          for (const byPlatform of ways) assert.strictEqual(byPlatform, !isLaneOpen)
          answers.push(given)
        }
        assert.deepStrictEqual(answers[1], answers[0])
      }).pipe(Effect.provide(Logger.layer([]))))
  }
})
