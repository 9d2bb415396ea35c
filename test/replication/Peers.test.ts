import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Deferred, Duration, Effect, Fiber, Layer } from "effect"
import { NodeConfig } from "../../src/config/NodeConfig.ts"
import type { NodeId } from "../../src/domain/NodeId.ts"
import { Gossip } from "../../src/gossip/Gossip.ts"
import { Metrics } from "../../src/observability/Metrics.ts"
import { PeerClient, type WriteAnswer } from "../../src/peer/PeerClient.ts"
import type { PeerFailed } from "../../src/peer/PeerError.ts"
import { Peers } from "../../src/replication/Peers.ts"
import { a, b, c, cellOf, d, endingAfter, failedBy, key, settle, version } from "../coordinator/requests.ts"
import { gossip, layerMock } from "../replicator/fakes.ts"

const accepted: WriteAnswer = { _tag: "Accepted", replaced: false }

/** The peers of `a`, with an attempt's timeout of one second. `d` has no known address. */
const start = Effect.fnUntraced(function*(client: Partial<PeerClient["Service"]>) {
  const reported: Array<NodeId> = []
  const layer = Layer.fresh(Peers.layer).pipe(Layer.provide([
    Layer.succeed(Gossip, gossip(a, { liveness: new Map(), reported }, [d])),
    layerMock(PeerClient, client),
    Metrics.layer,
    NodeConfig.layerTest({ replicaTimeout: Duration.seconds(1) })
  ]))
  return { reported, peers: Context.get(yield* Layer.build(layer), Peers) }
})

describe("Peers", () => {
  it.effect("sends writes and reads to the peer's address, each kind in a queue of its own", () =>
    Effect.gen(function*() {
      const requests: Array<string> = []
      const { peers } = yield* start({
        write: (address, cells) => {
          requests.push(`write ${address} ${cells.map(({ version }) => version.counter).join()}`)
          return Effect.never
        },
        read: (address, reads) => {
          requests.push(`read ${address} ${reads.length}`)
          return Effect.succeed(reads.map(() => ({ version: version(1), cell: undefined })))
        }
      })
      for (const counter of [1, 2]) {
        for (const peer of [b, c]) yield* Effect.forkChild(peers.write(peer, cellOf(counter)))
      }
      yield* settle
      assert.deepStrictEqual(yield* peers.read(b, { key, full: false }), { version: version(1), cell: undefined })
      assert.sameMembers(requests, ["write b:1 1,2", "write c:1 1,2", "read b:1 1"])
    }))

  it.effect("fails at once for a peer whose address is not known", () =>
    Effect.gen(function*() {
      const { peers, reported } = yield* start({})
      const attempts: ReadonlyArray<Effect.Effect<unknown, PeerFailed>> = [
        peers.write(d, cellOf(1)),
        peers.read(d, { key, full: true }),
        peers.writeAll(d, [cellOf(1)])
      ]
      for (const attempt of attempts) {
        assert.deepInclude(yield* Effect.flip(attempt), { peer: d, reason: "unreachable" })
      }
      assert.deepStrictEqual(reported, [])
    }))

  it.effect("gives an attempt its time, not more, and reports a peer that does not answer", () =>
    Effect.gen(function*() {
      const { peers, reported } = yield* start({ write: () => Effect.never })
      const one = yield* endingAfter(1000, Effect.flip(peers.write(b, cellOf(1))))
      assert.deepInclude(one, { peer: b, reason: "timeout", detail: "no answer within 1s" })
      const bulk = yield* endingAfter(5000, Effect.flip(peers.writeAll(c, [cellOf(1)])))
      assert.strictEqual(bulk.reason, "timeout")
      assert.deepStrictEqual(reported, [b, c])
    }))

  it.effect("does not take a pause of its own for the peer's silence", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const sleeps: Array<Deferred.Deferred<void>> = []
      const paused: Clock.Clock = Object.assign(Object.create(clock), {
        sleep: () => {
          const sleep = Deferred.makeUnsafe<void>()
          sleeps.push(sleep)
          return Deferred.await(sleep)
        }
      })
      const answer = yield* Deferred.make<ReadonlyArray<WriteAnswer>>()
      yield* Effect.gen(function*() {
        const { peers, reported } = yield* start({ write: () => Deferred.await(answer) })
        const one = yield* Effect.forkChild(peers.write(b, cellOf(1)))
        yield* settle
        // However late this sleep ends, the answer that came meanwhile is read after it.
        Deferred.doneUnsafe(sleeps[0]!, Effect.void)
        yield* settle
        Deferred.doneUnsafe(answer, Effect.succeed([accepted]))
        assert.deepStrictEqual(yield* Fiber.join(one), accepted)
        assert.deepStrictEqual(reported, [])
      }).pipe(Effect.provideService(Clock.Clock, paused))
    }))

  it.effect("reports a peer that is unreachable, and none that answers with a refusal", () =>
    Effect.gen(function*() {
      for (const reason of ["unreachable", "refused", "recovering", "storage", "overloaded", "bad-answer"] as const) {
        const { peers, reported } = yield* start({ read: () => Effect.fail(failedBy(b, reason)) })
        assert.strictEqual((yield* Effect.flip(peers.read(b, { key, full: true }))).reason, reason)
        assert.deepStrictEqual(reported, reason === "unreachable" ? [b] : [])
      }
    }))

  it.effect("refuses more than four full batches for a peer that does not keep up", () =>
    Effect.gen(function*() {
      const { peers } = yield* start({ write: () => Effect.never })
      yield* Effect.forkChild(peers.write(b, cellOf(1)))
      yield* settle
      yield* Effect.forEach(Array.from({ length: 4096 }), () => Effect.forkChild(peers.write(b, cellOf(1))))
      yield* settle
      assert.deepInclude(yield* Effect.flip(peers.write(b, cellOf(1))), { peer: b, reason: "overloaded" })
    }))

  it.effect("sends a delivery in bulk as one request, past the queue", () =>
    Effect.gen(function*() {
      const batches: Array<number> = []
      const { peers } = yield* start({
        write: (_address, cells) => {
          batches.push(cells.length)
          return cells.length === 1 ? Effect.never : Effect.succeed(cells.map(() => accepted))
        }
      })
      yield* Effect.forkChild(peers.write(b, cellOf(1)))
      yield* settle
      assert.strictEqual((yield* peers.writeAll(b, [cellOf(2), cellOf(3)])).length, 2)
      assert.deepStrictEqual(batches, [1, 2])
    }))
})
