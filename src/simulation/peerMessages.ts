/**
 * Messages between nodes as bytes: the production encodings of batches, gossip, probes and lines, without HTTP around
 * them. `answer` is the server's side, `client` the caller's.
 */
import { Context, Effect, Schema, Stream } from "effect"
import { Holdings } from "../anti-entropy/Holdings.ts"
import * as Bytes from "../domain/bytes.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import * as CellLine from "../domain/cell/CellLine.ts"
import { Key } from "../domain/Key.ts"
import * as Version from "../domain/Version.ts"
import { Gossip } from "../gossip/Gossip.ts"
import { DigestsAnswer, VersionsRequest } from "../peer/PeerApi.ts"
import { PeerClient } from "../peer/PeerClient.ts"
import * as PeerCodec from "../peer/PeerCodec.ts"
import { PeerFailed } from "../peer/PeerError.ts"
import { GossipMessage, GossipReply } from "../peer/PeerProtocol.ts"
import * as StreamEnd from "../peer/StreamEnd.ts"
import { Replicator } from "../replicator/Replicator.ts"

export type Kind = "write" | "read" | "gossip" | "probe" | "digests" | "versions" | "cells"

/** Sends a message to an address and brings its answer back. */
export type Exchange = (address: string, kind: Kind, body: Uint8Array) => Effect.Effect<Uint8Array, PeerFailed>

const json = <A>(schema: Schema.Codec<A, unknown>) => {
  const codec = Schema.fromJsonString(Schema.toCodecJson(schema))
  const encode = Schema.encodeSync(codec)
  const decode = Schema.decodeUnknownOption(codec)
  return {
    encode: (value: A): Uint8Array => Bytes.fromUtf8(encode(value)),
    decode: (bytes: Uint8Array): A | undefined => {
      const decoded = decode(Bytes.utf8(bytes))
      return decoded._tag === "Some" ? decoded.value : undefined
    }
  }
}

export const gossipMessage = json(GossipMessage)
const gossipReply = json(GossipReply)
export const target = json(Schema.Struct({ target: Schema.String }))
const reached = json(Schema.Struct({ reached: Schema.Boolean }))
const digestsAnswer = json(DigestsAnswer)
const versionsRequest = json(VersionsRequest)
const keys = json(Schema.Struct({ keys: Schema.Array(Key) }))

type Services = Gossip | Holdings | Replicator

/** The answer of the node that runs these services. Its failures are those that reach the caller. */
export const answer = (
  services: Context.Context<Services>,
  self: string,
  kind: Kind,
  body: Uint8Array
): Effect.Effect<Uint8Array, PeerFailed> => {
  const gossip = Context.get(services, Gossip)
  const holdings = Context.get(services, Holdings)
  const replicator = Context.get(services, Replicator)
  const failed = (error: { readonly message: string }) =>
    error instanceof PeerFailed ? error : new PeerFailed({ peer: self, reason: "storage", detail: error.message })
  const understood = <A, B>(message: A | undefined, run: (message: A) => Effect.Effect<B, PeerFailed>) =>
    message === undefined
      ? Effect.fail(new PeerFailed({ peer: self, reason: "refused", detail: `not understood: ${kind}` }))
      : run(message)
  const lines = <E extends { readonly message: string }>(texts: Stream.Stream<string, E>) =>
    Effect.map(
      Stream.runCollect(StreamEnd.append(Stream.mapError(texts, failed))),
      (all) => Bytes.fromUtf8(all.join("\n"))
    )
  switch (kind) {
    case "write":
      return understood(
        PeerCodec.decodeWrites(body),
        (cells) =>
          Effect.mapBoth(replicator.receive(cells), { onSuccess: PeerCodec.encodeWriteAnswers, onFailure: failed })
      )
    case "read":
      return understood(
        PeerCodec.decodeReads(body),
        (requests) => Effect.map(replicator.answer(requests), PeerCodec.encodeReadAnswers)
      )
    case "gossip":
      return understood(gossipMessage.decode(body), (message) =>
        Effect.mapBoth(gossip.receive(message), {
          onSuccess: gossipReply.encode,
          onFailure: ({ message: detail }) => new PeerFailed({ peer: self, reason: "refused", detail })
        }))
    case "probe":
      return understood(
        target.decode(body),
        (message) => Effect.map(gossip.probe(message.target), (isReached) => reached.encode({ reached: isReached }))
      )
    case "digests":
      return Effect.mapBoth(holdings.digests, {
        onSuccess: ({ digests, isDamaged }) => digestsAnswer.encode({ digests, damaged: isDamaged }),
        onFailure: failed
      })
    case "versions":
      return understood(
        versionsRequest.decode(body),
        ({ partitions, range }) =>
          lines(
            Stream.map(holdings.versions(partitions, range), ({ key, version }) =>
              JSON.stringify({ key, version: Version.format(version) }))
          )
      )
    case "cells":
      return understood(
        keys.decode(body),
        (message) => lines(Stream.map(holdings.cells(message.keys), CellLine.encode))
      )
  }
}

export const client = (exchange: Exchange): PeerClient["Service"] => {
  const understood = <A>(peer: string, decoded: A | undefined) =>
    decoded === undefined
      ? Effect.fail(new PeerFailed({ peer, reason: "bad-answer", detail: "the answer is not understood" }))
      : Effect.succeed(decoded)
  const lines = (address: string, kind: Kind, body: Uint8Array) =>
    Stream.unwrap(
      Effect.map(
        exchange(address, kind, body),
        (bytes) => Stream.fromIterable(Bytes.utf8(bytes).split("\n"))
      )
    ).pipe(
      StreamEnd.require(() => new PeerFailed({ peer: address, reason: "bad-answer", detail: "the stream was cut" }))
    )
  return PeerClient.of({
    write: (address, cells) =>
      Effect.flatMap(exchange(address, "write", PeerCodec.encodeWrites(cells)), (bytes) => {
        const answers = PeerCodec.decodeWriteAnswers(bytes)
        return understood(address, answers?.length === cells.length ? answers : undefined)
      }),
    read: (address, requests) =>
      Effect.flatMap(
        exchange(address, "read", PeerCodec.encodeReads(requests)),
        (bytes) => understood(address, PeerCodec.decodeReadAnswers(bytes, requests))
      ),
    gossip: (address, message) =>
      Effect.flatMap(
        exchange(address, "gossip", gossipMessage.encode(message)),
        (bytes) => understood(address, gossipReply.decode(bytes))
      ),
    probe: (address, node) =>
      Effect.flatMap(
        exchange(address, "probe", target.encode({ target: node })),
        (bytes) => Effect.map(understood(address, reached.decode(bytes)), (found) => found.reached)
      ),
    digests: (address) =>
      Effect.flatMap(
        exchange(address, "digests", Bytes.none),
        (bytes) =>
          Effect.map(understood(address, digestsAnswer.decode(bytes)), ({ damaged, digests }) => ({
            digests,
            isDamaged: damaged === true
          }))
      ),
    versions: (address, partitions, range) =>
      Stream.mapEffect(
        lines(address, "versions", versionsRequest.encode({ partitions, ...(range && { range }) })),
        (line) => understood(address, versionLine(line))
      ),
    cells: (address, wanted) =>
      Stream.mapEffect(
        lines(address, "cells", keys.encode({ keys: wanted })),
        (line): Effect.Effect<Cell, PeerFailed> => understood(address, CellLine.decode(line))
      )
  })
}

const versionLine = (line: string): { readonly key: Key; readonly version: Version.Version } | undefined => {
  const { key, version } = JSON.parse(line) as { readonly key: Key; readonly version: string }
  const parsed = Version.parse(version)
  return parsed === undefined ? undefined : { key, version: parsed }
}
