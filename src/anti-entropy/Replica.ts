/**
 * Another replica, for a node that compares itself with it: each answer is bounded in time and checked against the
 * question.
 */
import { Duration, Effect, type Scope, Stream } from "effect"
import type { Cell } from "../domain/cell/Cell.ts"
import { compare, type Key } from "../domain/Key.ts"
import type { NodeId } from "../domain/NodeId.ts"
import type { Version } from "../domain/Version.ts"
import type { Digests, KeyRange, PeerClient } from "../peer/PeerClient.ts"
import { PeerFailed } from "../peer/PeerError.ts"
import type { Ring } from "../ring/Ring.ts"
import * as StreamSource from "../storage/merge/StreamSource.ts"

/** For one answer, and for each part of a stream while this node waits for it. */
const silenceMax = Duration.seconds(30)

export interface KeyVersion {
  readonly key: Key
  readonly version: Version
}

export interface Replica {
  readonly id: NodeId
  readonly digests: Effect.Effect<Digests, PeerFailed>
  readonly write: (cells: ReadonlyArray<Cell>) => Effect.Effect<unknown, PeerFailed>
  /** `PeerClient.versions` */
  readonly versions: (
    partitions: ReadonlyArray<number>,
    vouchedFor?: KeyRange
  ) => Effect.Effect<StreamSource.StreamSource<KeyVersion, PeerFailed>, never, Scope.Scope>
  /** The cells of at most `keysPerRequestMax` keys, as far as it has them and can read them. */
  readonly cells: (keys: ReadonlyArray<Key>) => Stream.Stream<Cell, PeerFailed>
}

export const make = (
  client: PeerClient["Service"],
  { partitionOf }: Pick<Ring["Service"], "partitionOf">,
  id: NodeId,
  address: string
): Replica => {
  const failed = (reason: PeerFailed["reason"], detail: string) =>
    Effect.fail(new PeerFailed({ peer: id, reason, detail }))

  const bounded = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.timeoutOrElse(effect, {
      duration: silenceMax,
      orElse: () => failed("timeout", `no answer within ${Duration.format(silenceMax)}`)
    })

  /** Bounds each pull: the time that this node takes between two of them does not count. */
  const checked = <A extends { readonly key: Key }>(
    stream: Stream.Stream<A, PeerFailed>,
    isAskedFor: (key: Key) => boolean
  ) =>
    Stream.transformPull(
      stream,
      (pull) =>
        Effect.succeed(Effect.flatMap(bounded(pull), (found) =>
          found.every(({ key }) => isAskedFor(key))
            ? Effect.succeed(found)
            : failed("bad-answer", "keys that it was not asked for")))
    )

  return {
    id,
    digests: bounded(Effect.suspend(() => client.digests(address))),
    write: (cells) => bounded(client.write(address, cells)),
    versions: (partitions, range) => {
      const asked = new Set(partitions)
      const isAskedFor = (key: Key) => asked.has(partitionOf(key)) && (range === undefined || isWithin(range, key))
      return StreamSource.make(
        checked(client.versions(address, partitions, range), isAskedFor),
        failed("bad-answer", "keys out of order")
      )
    },
    cells: (keys) =>
      Stream.suspend(() => {
        const asked = new Set(keys)
        return checked(client.cells(address, keys), (key) => asked.delete(key))
      })
  }
}

const isWithin = ({ from, to }: KeyRange, key: string): boolean => compare(from, key) <= 0 && compare(key, to) < 0
