/**
 * One queue of writes and one of reads towards each peer, made when first needed.
 */
import { Duration, Effect, Scope } from "effect"
import type { NodeSettings } from "../config/NodeConfig.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import type { NodeId } from "../domain/NodeId.ts"
import type { Gossip } from "../gossip/Gossip.ts"
import { batchBytesMax, batchCellsMax } from "../peer/PeerApi.ts"
import type { PeerClient, ReadAnswer, ReadRequest, WriteAnswer } from "../peer/PeerClient.ts"
import { PeerFailed } from "../peer/PeerError.ts"
import * as Batcher from "./Batcher.ts"
import * as Call from "./Call.ts"
import { bytesOf } from "./cellBytes.ts"

/** Four full batches: a peer further behind than that is refused more, so that memory stays bounded. */
const queueMax = 4 * batchCellsMax
const queueBytesMax = 4 * batchBytesMax

/** What an answer is taken to weigh before it is known, so that a batch of large values stays bounded too. */
const fullReadBytes = 256 * 1024
const versionReadBytes = 64

interface Queues {
  readonly writes: Batcher.Batcher<Cell, WriteAnswer>
  readonly reads: Batcher.Batcher<ReadRequest, ReadAnswer>
}

export interface Peers {
  readonly write: (peer: NodeId, cell: Cell, done: Call.Done<WriteAnswer, PeerFailed>) => Call.Cancel
  readonly read: (peer: NodeId, request: ReadRequest, done: Call.Done<ReadAnswer, PeerFailed>) => Call.Cancel
  /** One request of its own, outside the queues: for deliveries in bulk. */
  readonly writeAll: (peer: NodeId, cells: ReadonlyArray<Cell>) => Effect.Effect<ReadonlyArray<WriteAnswer>, PeerFailed>
}

/**
 * Fails when the time is up. Slept in two halves: after a pause of this process an overdue timer comes before the
 * answers that wait in its sockets, and the second half lets them in.
 */
const silence = (peer: NodeId, timeout: Duration.Duration): Effect.Effect<never, PeerFailed> => {
  const half = Effect.sleep(Duration.times(timeout, 0.5))
  const failure = () =>
    new PeerFailed({ peer, reason: "timeout", detail: `no answer within ${Duration.format(timeout)}` })
  return half.pipe(Effect.andThen(half), Effect.andThen(Effect.suspend(() => Effect.fail(failure()))))
}

export const make = Effect.fnUntraced(function*(
  client: PeerClient["Service"],
  gossip: Gossip["Service"],
  { replicaTimeout }: Pick<NodeSettings, "replicaTimeout">
): Effect.fn.Return<Peers, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const start = Call.starter(yield* Effect.context<never>())
  const queues = new Map<NodeId, Queues>()

  /** Bounds a request in time and tells the failure detector when it came to nothing. */
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
    new PeerFailed({ peer, reason: "overloaded", detail: `${queueMax} requests wait for it already` })

  const makeQueues = Effect.fnUntraced(function*(peer: NodeId) {
    const common = {
      batchRequestsMax: batchCellsMax,
      batchBytesMax,
      queueMax,
      queueBytesMax,
      overloaded: overloaded(peer),
      // Nobody is there: what waits becomes hints now, not one timeout after another.
      failsAll: ({ reason }: PeerFailed) => reason === "unreachable" || reason === "timeout"
    }
    const made: Queues = {
      writes: yield* Batcher.make<Cell, WriteAnswer>({
        ...common,
        bytesOf,
        send: (cells) => ask(peer, replicaTimeout, (address) => client.write(address, cells))
      }),
      reads: yield* Batcher.make<ReadRequest, ReadAnswer>({
        ...common,
        bytesOf: ({ full }) => full ? fullReadBytes : versionReadBytes,
        send: (requests) => ask(peer, replicaTimeout, (address) => client.read(address, requests))
      })
    }
    return queues.get(peer) ?? (queues.set(peer, made), made)
  })

  const firstTo = <A>(
    peer: NodeId,
    submit: (queues: Queues) => Effect.Effect<A, PeerFailed>,
    done: Call.Done<A, PeerFailed>
  ) => start(Effect.flatMap(Scope.provide(makeQueues(peer), scope), submit), done)

  return {
    write: (peer, cell, done) =>
      queues.get(peer)?.writes.enqueue(cell, done) ?? firstTo(peer, ({ writes }) => writes.submit(cell), done),
    read: (peer, request, done) =>
      queues.get(peer)?.reads.enqueue(request, done) ?? firstTo(peer, ({ reads }) => reads.submit(request), done),
    writeAll: (peer, cells) => ask(peer, Duration.times(replicaTimeout, 5), (address) => client.write(address, cells))
  }
})
