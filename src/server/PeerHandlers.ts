/**
 * What this node answers to its peers: batches in compact binary, gossip in JSON, streams as lines of JSON.
 */
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Effect, Layer, Redacted, Stream } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import type { IncomingMessage, ServerResponse } from "node:http"
import { Api } from "../api/Api.ts"
import { NodeConfig } from "../config/NodeConfig.ts"
import * as CellLine from "../domain/CellLine.ts"
import * as Version from "../domain/Version.ts"
import { Gossip } from "../gossip/Gossip.ts"
import {
  peerBodyBytesMax,
  PeerMessageRefused,
  PeerSecret,
  PeerUnauthorized,
  ReplicaRecovering,
  ReplicaStorageFailed
} from "../peer/PeerApi.ts"
import * as PeerAuth from "../peer/PeerAuth.ts"
import * as PeerCodec from "../peer/PeerCodec.ts"
import type { PeerFailed } from "../peer/PeerError.ts"
import * as StreamEnd from "../peer/StreamEnd.ts"
import { Replicator } from "../replicator/Replicator.ts"
import { Storage } from "../storage/Storage.ts"
import type { StorageError } from "../storage/StorageError.ts"
import * as requestBody from "./requestBody.ts"

/** Lets only requests through that prove knowledge of the cluster's secret. */
export const layerSecret = Layer.effect(
  PeerSecret,
  Effect.gen(function*() {
    const expected = PeerAuth.token((yield* NodeConfig).clusterSecret)
    return PeerSecret.of({
      clusterSecret: (handler, { credential }) =>
        PeerAuth.matches(expected, Redacted.value(credential)) ? handler : Effect.fail(new PeerUnauthorized())
    })
  })
)

export const layer = HttpApiBuilder.group(Api, "peer", Effect.fnUntraced(function*(handlers) {
  const gossip = yield* Gossip
  const replicator = yield* Replicator
  const storage = yield* Storage

  return handlers
    .handleRaw("write", ({ request }) =>
      Effect.flatMap(message(request, PeerCodec.decodeWrites), (cells) =>
        Effect.mapBoth(replicator.receive(cells), {
          onSuccess: (answers) => binary(PeerCodec.encodeWriteAnswers(answers)),
          onFailure: writeRefused
        })))
    .handleRaw("read", ({ request }) =>
      Effect.flatMap(message(request, PeerCodec.decodeReads), (requests) =>
        Effect.mapBoth(replicator.answer(requests), {
          onSuccess: (answers) => binary(PeerCodec.encodeReadAnswers(answers)),
          onFailure: readRefused
        })))
    .handle("gossip", ({ payload }) => gossip.receive(payload))
    .handle("probe", ({ payload }) => Effect.map(gossip.probe(payload.target), (reached) => ({ reached })))
    .handle("digests", () =>
      Effect.mapBoth(replicator.digests, { onSuccess: (digests) => ({ digests }), onFailure: storageRefused }))
    .handle("versions", ({ payload }) =>
      lines(Stream.map(replicator.versions(payload.partitions), ({ key, version }) =>
        `{"key":${JSON.stringify(key)},"version":"${Version.format(version)}"}`)))
    .handle("cells", ({ payload }) => lines(Stream.map(replicator.cells(payload.keys), CellLine.encode)))
    .handle("allCells", () => lines(Stream.map(storage.scan(), CellLine.encode)))
}))

/** The decoded body. */
const message = <A>(
  request: HttpServerRequest.HttpServerRequest,
  decode: (bytes: Uint8Array) => A | undefined
): Effect.Effect<A, PeerMessageRefused> =>
  Effect.flatMap(
    requestBody.collect(
      NodeHttpServerRequest.toIncomingMessage(request) as IncomingMessage,
      NodeHttpServerRequest.toServerResponse(request) as ServerResponse,
      peerBodyBytesMax
    ),
    (bytes) => {
      if (bytes === undefined) return tooLarge
      const decoded = decode(bytes)
      return decoded === undefined ? notUnderstood : Effect.succeed(decoded)
    }
  )

const binary = (bytes: Uint8Array) =>
  HttpServerResponse.uint8Array(bytes, { contentType: "application/octet-stream" })

/**
 * A failure after the first line cannot change the status any more: the stream just ends without its end line, which
 * the reader takes for what it is.
 */
const lines = (texts: Stream.Stream<string, StorageError>) =>
  Effect.succeed(
    StreamEnd.append(texts).pipe(
      Stream.map((line) => `${line}\n`),
      Stream.encodeText,
      Stream.catch((error) => Stream.fromEffectDrain(Effect.logError(`stream to a peer cut: ${error.message}`)))
    )
  )

const tooLarge = Effect.fail(new PeerMessageRefused({ reason: `the body is larger than ${peerBodyBytesMax} bytes` }))

const notUnderstood = Effect.fail(
  new PeerMessageRefused({ reason: "the body is not a message of this node's protocol version" })
)

const storageRefused = (error: StorageError) => new ReplicaStorageFailed({ detail: error.message })

const writeRefused = (error: StorageError | PeerFailed) =>
  error._tag === "PeerFailed" ? new PeerMessageRefused({ reason: error.detail }) : storageRefused(error)

const readRefused = (error: PeerFailed) =>
  error.reason === "recovering" ? new ReplicaRecovering() : new ReplicaStorageFailed({ detail: error.detail })
