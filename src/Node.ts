/**
 * The composition root: the one file that knows every service. A node is this stack of Layers over two leaves, `Disk`
 * and `PeerClient`, and Effect's clock and randomness: real ones in `main.ts`, others in tests.
 *
 *     HttpServer -> Coordinator -> Replicator -> Ring -> Gossip -> Identity -> Disk, PeerClient
 *                                             -> Storage ---------^
 */
import { Effect, Layer, Stream } from "effect"
import { Coordinator } from "./coordinator/Coordinator.ts"
import { type CounterReading, CounterSource } from "./gossip/CounterSource.ts"
import { Gossip } from "./gossip/Gossip.ts"
import { LamportClock } from "./replicator/LamportClock.ts"
import { Replicator } from "./replicator/Replicator.ts"
import { Ring } from "./ring/Ring.ts"
import * as HttpServer from "./server/HttpServer.ts"
import { Identity } from "./storage/Identity.ts"
import { Snapshots } from "./storage/snapshot/Snapshots.ts"
import { Storage } from "./storage/Storage.ts"

/** Everything below the network's edge. Needs `Disk`, `PeerClient`, `NodeConfig` and `ClusterConfig`. */
export const layerServices = Layer.unwrap(Effect.sync(() => {
  const reading: CounterReading = { read: () => 0 }
  return joinClocks(reading).pipe(
    Layer.provideMerge(Coordinator.layer),
    Layer.provideMerge(Replicator.layer),
    Layer.provideMerge(LamportClock.layer),
    Layer.provideMerge(Ring.layer),
    Layer.provideMerge(Gossip.layer.pipe(Layer.provide(Layer.succeed(CounterSource, reading)))),
    Layer.provideMerge(Snapshots.layer),
    Layer.provideMerge(Storage.layer),
    Layer.provideMerge(Identity.layer)
  )
}))

/** Gossip announces this node's Lamport clock, and the clock follows what others announce. */
const joinClocks = (reading: CounterReading) =>
  Layer.effectDiscard(Effect.gen(function*() {
    const clock = yield* LamportClock
    const gossip = yield* Gossip
    reading.read = clock.current
    const follow = Effect.sync(() => clock.observe(gossip.counterSeen()))
    yield* Effect.forkScoped(Stream.runForEach(gossip.changes, () => follow))
  }))

/** A whole node that listens. */
export const layer = HttpServer.layer.pipe(Layer.provideMerge(layerServices))
