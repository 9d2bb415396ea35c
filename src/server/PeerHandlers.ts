/** The node's answers to its peers: batches in compact binary, gossip in JSON, streams as lines of JSON. */
import { Context, Effect, Layer, Redacted, Stream } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import { Holdings } from "../anti-entropy/Holdings.ts"
import { Api } from "../api/Api.ts"
import { NodeConfig } from "../config/NodeConfig.ts"
import type { StorageError } from "../disk/StorageError.ts"
import * as CellLine from "../domain/cell/CellLine.ts"
import * as Version from "../domain/Version.ts"
import { Gossip } from "../gossip/Gossip.ts"
import { PeerApi, peerBodyBytesMax, PeerSecret } from "../peer/PeerApi.ts"
import * as PeerAuth from "../peer/PeerAuth.ts"
import * as PeerCodec from "../peer/PeerCodec.ts"
import type { PeerFailed } from "../peer/PeerError.ts"
import { PeerMessageRefused, PeerUnauthorized, ReplicaRecovering, ReplicaStorageFailed } from "../peer/PeerProblem.ts"
import * as StreamEnd from "../peer/StreamEnd.ts"
import { Replicator } from "../replicator/Replicator.ts"
import { Storage } from "../storage/Storage.ts"
import * as Lane from "./lane/Lane.ts"
import { problemResponse } from "./problemResponse.ts"

const unauthorized = Effect.fail(new PeerUnauthorized({ detail: "set CLUSTER_SECRET to that of the cluster" }))

/** Refuses requests that do not prove knowledge of the cluster's secret. */
export const layerSecret = Layer.effect(
  PeerSecret,
  Effect.gen(function*() {
    const expected = PeerAuth.token((yield* NodeConfig).clusterSecret)
    return PeerSecret.of({
      clusterSecret: (handler, { credential }) =>
        PeerAuth.matches(expected, Redacted.value(credential)) ? handler : unauthorized
    })
  })
)

const makeBatches = Effect.gen(function*() {
  const replicator = yield* Replicator

  return {
    write: batch(
      PeerCodec.decodeWrites,
      (cells) =>
        Effect.mapBoth(replicator.receive(cells), { onSuccess: PeerCodec.encodeWriteAnswers, onFailure: writeRefused })
    ),
    read: batch(
      PeerCodec.decodeReads,
      (requests) =>
        Effect.mapBoth(replicator.answer(requests), { onSuccess: PeerCodec.encodeReadAnswers, onFailure: readRefused })
    )
  }
})

/** The handlers of batches, by the names of their endpoints. */
export class PeerBatches extends Context.Service<PeerBatches, Lane.Handlers<"write" | "read">>()(
  "rondo/server/PeerBatches"
) {
  static readonly layer = Layer.effect(PeerBatches, makeBatches)

  /** Without the secret a request does not take the lane: `layerSecret` refuses it. */
  static readonly routes = Effect.gen(function*() {
    const expected = PeerAuth.header((yield* NodeConfig).clusterSecret)
    return Lane.routesOf(
      PeerApi,
      yield* PeerBatches,
      ({ headers }) => PeerAuth.matches(expected, headers.authorization ?? "")
    )
  })
}

export const layerGroup = HttpApiBuilder.group(
  Api,
  "peer",
  Effect.fnUntraced(function*(handlers) {
    const gossip = yield* Gossip
    const holdings = yield* Holdings
    const storage = yield* Storage

    return Lane.declare(handlers, yield* PeerBatches)
      .handle("gossip", ({ payload }) => gossip.receive(payload))
      .handle("probe", ({ payload }) => Effect.map(gossip.probe(payload.target), (reached) => ({ reached })))
      .handle(
        "digests",
        () =>
          Effect.mapBoth(holdings.digests, {
            onSuccess: ({ digests, isDamaged }) => ({ digests, ...(isDamaged && { damaged: true }) }),
            onFailure: storageRefused
          })
      )
      .handle("versions", ({ payload: { partitions, range }, request }) =>
        Effect.andThen(
          range === undefined ? Effect.void : Effect.mapError(holdings.vouch(range), readRefused),
          lines(
            request,
            Stream.map(holdings.versions(partitions, range), ({ key, version }) =>
              `{"key":${JSON.stringify(key)},"version":"${Version.format(version)}"}`)
          )
        ))
      .handle(
        "cells",
        ({ payload, request }) => lines(request, Stream.map(holdings.cells(payload.keys), CellLine.encode))
      )
      .handle("allCells", ({ request }) => lines(request, Stream.map(storage.scan(), CellLine.encode)))
  })
)

type BatchRefused = PeerMessageRefused | ReplicaRecovering | ReplicaStorageFailed

/** Decodes the body and answers bytes, or a problem. */
const batch = <A>(
  decode: (bytes: Uint8Array) => A | undefined,
  answer: (message: A) => Effect.Effect<Uint8Array, BatchRefused>
): Lane.Handler =>
(request, response) => {
  const body = Effect.interruptible(Effect.suspend(() => Lane.collectBody(request, response, peerBodyBytesMax)))
  const answered = Effect.flatMap(body, (bytes): Effect.Effect<Uint8Array, BatchRefused> => {
    if (bytes === undefined) return tooLarge
    const message = decode(bytes)
    return message === undefined ? notUnderstood : answer(message)
  })
  return Effect.match(answered, {
    onSuccess: (bytes) => Lane.answerBytes(request, response, [], "application/octet-stream", bytes),
    onFailure: (refused) => problemResponse(refused)
  })
}

/** A failure after the first line cannot change the status, so it only leaves out the end line. */
const lines = (request: HttpServerRequest, texts: Stream.Stream<string, StorageError | PeerFailed>) =>
  Effect.sync(() => {
    Lane.giveTime(request)
    return StreamEnd.append(texts).pipe(
      Stream.map((line) => `${line}\n`),
      Stream.encodeText,
      Stream.catch((error) => Stream.fromEffectDrain(Effect.logError(`stream to a peer cut: ${error.message}`)))
    )
  })

const tooLarge = Effect.fail(new PeerMessageRefused({ detail: `the body is larger than ${peerBodyBytesMax} bytes` }))

const notUnderstood = Effect.fail(
  new PeerMessageRefused({ detail: "the body is not a message of this node's protocol version" })
)

const storageRefused = (error: StorageError) => new ReplicaStorageFailed({ detail: error.message })

const writeRefused = (error: StorageError | PeerFailed) =>
  error._tag === "PeerFailed" ? new PeerMessageRefused({ detail: error.detail }) : storageRefused(error)

const readRefused = (error: PeerFailed) =>
  error.reason === "recovering"
    ? new ReplicaRecovering({ detail: "this node is still comparing its new data directory with its replicas" })
    : new ReplicaStorageFailed({ detail: error.detail })
