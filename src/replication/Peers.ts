/** One queue of writes and one of reads towards each peer, made when first needed. */
import { Context, Duration, Effect, Layer, Scope } from "effect"
import { NodeConfig } from "../config/NodeConfig.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import type { NodeId } from "../domain/NodeId.ts"
import { Gossip } from "../gossip/Gossip.ts"
import { Metrics } from "../observability/Metrics.ts"
import { batchBytesMax, batchCellsMax } from "../peer/PeerApi.ts"
import { PeerClient, type ReadAnswer, type ReadRequest, type WriteAnswer } from "../peer/PeerClient.ts"
import { PeerFailed } from "../peer/PeerError.ts"
import * as Batcher from "./Batcher.ts"
import { bytesOf } from "./cellBytes.ts"

/** Four full batches. More for a peer that is so far behind is refused, so that memory stays bounded. */
const queueMax = 4 * batchCellsMax
const queueBytesMax = 4 * batchBytesMax

/** Assumed sizes of answers that are not known yet, so that a batch of large values stays bounded too. */
const fullReadBytes = 256 * 1024
const versionReadBytes = 64

interface Queues {
  readonly write: Batcher.Submit<Cell, WriteAnswer>
  readonly read: Batcher.Submit<ReadRequest, ReadAnswer>
}

export class Peers extends Context.Service<Peers, {
  readonly write: (peer: NodeId, cell: Cell) => Effect.Effect<WriteAnswer, PeerFailed>
  readonly read: (peer: NodeId, request: ReadRequest) => Effect.Effect<ReadAnswer, PeerFailed>
  /** One request of its own, outside the queues: for deliveries in bulk. */
  readonly writeAll: (peer: NodeId, cells: ReadonlyArray<Cell>) => Effect.Effect<ReadonlyArray<WriteAnswer>, PeerFailed>
}>()("rondo/replication/Peers") {
  static readonly layer = Layer.effect(Peers, Effect.suspend(() => make))
}

/**
 * Fails when the time is up. It sleeps in two halves: after a pause of this process, an overdue timer fires before the
 * answers that wait in its sockets are read. The second half lets them in.
 */
const silence = (peer: NodeId, timeout: Duration.Duration): Effect.Effect<never, PeerFailed> => {
  const half = Effect.sleep(Duration.times(timeout, 0.5))
  const failure = () =>
    new PeerFailed({ peer, reason: "timeout", detail: `no answer within ${Duration.format(timeout)}` })
  return half.pipe(Effect.andThen(half), Effect.andThen(Effect.suspend(() => Effect.fail(failure()))))
}

const make = Effect.gen(function*() {
  const client = yield* PeerClient
  const gossip = yield* Gossip
  const metrics = yield* Metrics
  const { replicaTimeout } = yield* NodeConfig
  const scope = yield* Effect.scope
  const queues = new Map<NodeId, Queues>()

  /** Bounds a request in time, and reports a peer that cannot be reached or stays silent to the failure detector. */
  const ask = <A>(
    peer: NodeId,
    timeout: Duration.Duration,
    request: (address: string) => Effect.Effect<A, PeerFailed>
  ): Effect.Effect<A, PeerFailed> =>
    Effect.suspend(() => {
      const address = gossip.address(peer)
      if (address === undefined) {
        return Effect.fail(new PeerFailed({ peer, reason: "unreachable", detail: "its address is not known" }))
      }
      return Effect.raceFirst(request(address), silence(peer, timeout)).pipe(
        Effect.tapError((error) =>
          error.reason === "unreachable" || error.reason === "timeout" ? gossip.reportFailure(peer) : Effect.void
        )
      )
    })

  const overloaded = (peer: NodeId) => () =>
    new PeerFailed({
      peer,
      reason: "overloaded",
      detail: `${queueMax} requests, or ${queueBytesMax} bytes of them, wait for it already`
    })

  const makeQueuesTo = Effect.fnUntraced(function*(peer: NodeId) {
    const common = {
      batchRequestsMax: batchCellsMax,
      batchBytesMax,
      queueMax,
      queueBytesMax,
      overloaded: overloaded(peer),
      batchSent: metrics.batchSent,
      // Nobody is there. All that waits should become hints now, and not after one timeout each.
      failsAll: ({ reason }: PeerFailed) => reason === "unreachable" || reason === "timeout"
    }
    const made: Queues = {
      write: yield* Batcher.make<Cell, WriteAnswer>({
        ...common,
        bytesOf,
        send: (cells) => ask(peer, replicaTimeout, (address) => client.write(address, cells))
      }),
      read: yield* Batcher.make<ReadRequest, ReadAnswer>({
        ...common,
        bytesOf: ({ full }) => full ? fullReadBytes : versionReadBytes,
        send: (requests) => ask(peer, replicaTimeout, (address) => client.read(address, requests))
      })
    }
    return queues.get(peer) ?? (queues.set(peer, made), made)
  })

  const queuesTo = (peer: NodeId): Effect.Effect<Queues> => Scope.provide(makeQueuesTo(peer), scope)

  return Peers.of({
    write: (peer, cell) => queues.get(peer)?.write(cell) ?? Effect.flatMap(queuesTo(peer), ({ write }) => write(cell)),
    read: (peer, request) =>
      queues.get(peer)?.read(request) ?? Effect.flatMap(queuesTo(peer), ({ read }) => read(request)),
    writeAll: (peer, cells) => ask(peer, Duration.times(replicaTimeout, 5), (address) => client.write(address, cells))
  })
})
