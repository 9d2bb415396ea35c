/**
 * `PeerClient` over HTTP: batches as one compact body each over `exchange`, all else by Effect's `HttpClient`.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { Effect, Layer, Option, Schema, Stream } from "effect"
import { HttpBody, HttpClient, type HttpClientError, HttpClientRequest, type HttpClientResponse } from "effect/http"
import { NodeConfig } from "../config/NodeConfig.ts"
import * as CellLine from "../domain/cell/CellLine.ts"
import type { Key } from "../domain/Key.ts"
import * as Version from "../domain/Version.ts"
import * as Exchange from "./exchange.ts"
import { DigestsAnswer } from "./PeerApi.ts"
import * as PeerAuth from "./PeerAuth.ts"
import { PeerClient } from "./PeerClient.ts"
import * as PeerCodec from "./PeerCodec.ts"
import { PeerFailed } from "./PeerError.ts"
import { GossipReply } from "./PeerProtocol.ts"
import * as StreamEnd from "./StreamEnd.ts"

/** A peer that does not even accept a connection in this time counts as unreachable. */
const connectTimeoutMillis = 1_000
/** Gossip, probes and streams each find a connection without waiting for another's. */
const connectionsPerPeerMax = 16

const make = Effect.gen(function*() {
  const client = yield* HttpClient.HttpClient
  const { clusterSecret } = yield* NodeConfig
  const { buildConnector } = yield* Effect.promise(() => import("@effect/platform-node/Undici"))
  const authorization = PeerAuth.header(clusterSecret)
  const batches = yield* Exchange.make(buildConnector({ timeout: connectTimeoutMillis }), {
    authorization,
    "content-type": "application/octet-stream"
  })

  const send = (address: string, request: HttpClientRequest.HttpClientRequest) =>
    client.execute(HttpClientRequest.setHeader(request, "authorization", authorization)).pipe(
      Effect.mapError((error) => transportFailure(address, error)),
      Effect.flatMap((response) =>
        response.status === 200 ? Effect.succeed(response) : Effect.flatMap(refusal(address, response), Effect.fail)
      )
    )

  const exchangeBatch = (address: string, path: string, body: Uint8Array) =>
    Effect.flatMap(batches.post(address, path, body), (answer) =>
      answer.status === 200
        ? Effect.succeed(answer.body)
        : Effect.fail(refusalOf(address, answer.status, answer.body.toString())))

  const understood = <A>(address: string, message: A | undefined) =>
    message === undefined
      ? Effect.fail(new PeerFailed({ peer: address, reason: "bad-answer", detail: "the answer cannot be decoded" }))
      : Effect.succeed(message)

  const json = <A, I>(
    address: string,
    request: HttpClientRequest.HttpClientRequest,
    schema: Schema.Codec<A, I>
  ): Effect.Effect<A, PeerFailed> => {
    const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(schema))
    return send(address, request).pipe(
      Effect.flatMap((response) => Effect.mapError(response.text, (error) => transportFailure(address, error))),
      Effect.flatMap((body) =>
        Effect.mapError(
          decode(body),
          (error) => new PeerFailed({ peer: address, reason: "bad-answer", detail: error.message })
        )
      )
    )
  }

  const post = (address: string, path: string, body: unknown) =>
    HttpClientRequest.post(`http://${address}${path}`, { body: HttpBody.jsonUnsafe(body) })

  const lines = <A>(
    address: string,
    request: HttpClientRequest.HttpClientRequest,
    decode: (line: string) => A | undefined
  ) =>
    Stream.unwrap(Effect.map(send(address, request), (response) => response.stream)).pipe(
      Stream.mapError((error) => error._tag === "PeerFailed" ? error : transportFailure(address, error)),
      Stream.decodeText,
      Stream.splitLines,
      StreamEnd.require(() => new PeerFailed({ peer: address, reason: "bad-answer", detail: "the stream was cut" })),
      // By chunks, since a step of a stream costs more than to decode a line.
      Stream.mapArrayEffect(Effect.forEach((line) => understood(address, decode(line))))
    )

  return PeerClient.of({
    write: (address, cells) =>
      Effect.suspend(() => exchangeBatch(address, "/internal/kv", PeerCodec.encodeWrites(cells))).pipe(
        Effect.flatMap((bytes) => {
          const answers = PeerCodec.decodeWriteAnswers(bytes)
          return understood(address, answers?.length === cells.length ? answers : undefined)
        })
      ),
    read: (address, requests) =>
      Effect.suspend(() => exchangeBatch(address, "/internal/read", PeerCodec.encodeReads(requests))).pipe(
        Effect.flatMap((bytes) => understood(address, PeerCodec.decodeReadAnswers(bytes, requests)))
      ),
    gossip: (address, message) => json(address, post(address, "/gossip", message), GossipReply),
    probe: (address, target) =>
      Effect.map(json(address, post(address, "/internal/probe", { target }), Probed), ({ reached }) => reached),
    digests: (address) =>
      Effect.map(
        json(address, HttpClientRequest.get(`http://${address}/internal/digests`), DigestsAnswer),
        ({ damaged, digests }) => ({ digests, isDamaged: damaged === true })
      ),
    versions: (address, partitions, range) =>
      lines(address, post(address, "/internal/versions", { partitions, ...(range && { range }) }), decodeVersionLine),
    cells: (address, keys) => lines(address, post(address, "/internal/cells", { keys }), CellLine.decode)
  })
})

/** Over undici, which keeps connections alive and lets an interrupted request go. */
export const layer: Layer.Layer<PeerClient, never, NodeConfig> = Layer.effect(PeerClient, make).pipe(
  Layer.provide(
    NodeHttpClient.layerUndiciNoDispatcher.pipe(
      Layer.provideMerge(NodeHttpClient.layerDispatcherOptions({
        connect: { timeout: connectTimeoutMillis },
        connections: connectionsPerPeerMax
      }))
    )
  )
)

const Probed = Schema.Struct({ reached: Schema.Boolean })
const decodeVersionLineJson = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({ key: Schema.String, version: Schema.String }))
)

const decodeVersionLine = (line: string) => {
  const decoded = decodeVersionLineJson(line)
  if (decoded._tag === "None") return undefined
  const version = Version.parse(decoded.value.version)
  return version === undefined ? undefined : { key: decoded.value.key as Key, version }
}

const transportFailure = (peer: string, error: HttpClientError.HttpClientError) =>
  new PeerFailed({ peer, reason: "unreachable", detail: causeOf(error.reason) })

const causeOf = (reason: HttpClientError.HttpClientErrorReason): string =>
  "cause" in reason && reason.cause instanceof Error ? reason.cause.message : reason.message

/** The meaning of an answer other than 200. */
const refusal = (peer: string, response: HttpClientResponse.HttpClientResponse) =>
  Effect.map(Effect.orElseSucceed(response.text, () => ""), (body) => refusalOf(peer, response.status, body))

const refusalOf = (peer: string, status: number, body: string) => {
  const { _tag: tag = `status ${status}`, detail = tag } = Option.getOrElse(decodeProblem(body), () => noProblem)
  return new PeerFailed({ peer, reason: reasonOf(status, tag), detail })
}

/** Both members may be missing: a proxy may answer in a peer's stead. */
const Problem = Schema.Struct({ _tag: Schema.optional(Schema.String), detail: Schema.optional(Schema.String) })
const decodeProblem = Schema.decodeUnknownOption(Schema.fromJsonString(Problem))
const noProblem: typeof Problem.Type = {}

const reasonOf = (status: number, tag: string): PeerFailed["reason"] => {
  if (tag === "ReplicaRecovering") return "recovering"
  if (tag === "ReplicaStorageFailed") return "storage"
  if (status === 503 || status === 429) return "overloaded"
  return "refused"
}
