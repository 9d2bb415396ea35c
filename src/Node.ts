/**
 * The composition root: the one file that knows every service below the network's edge. A node is this stack of Layers
 * over two leaves, `Disk` and `PeerClient`, and Effect's clock and randomness: real ones in `main.ts`, others in tests
 * and in the simulator.
 *
 *     Coordinator -> Replicator -> Ring -> Gossip -> LamportClock -> Storage -> Identity, Metrics -> Disk, PeerClient
 */
import { Layer } from "effect"
import { Holdings } from "./anti-entropy/Holdings.ts"
import { LostRanges } from "./anti-entropy/LostRanges.ts"
import { Reconciler } from "./anti-entropy/Reconciler.ts"
import { Recovery } from "./anti-entropy/Recovery.ts"
import { LamportClock } from "./clock/LamportClock.ts"
import { Coordinator } from "./coordinator/Coordinator.ts"
import { Identity } from "./disk/Identity.ts"
import { Gossip } from "./gossip/Gossip.ts"
import { Metrics } from "./observability/Metrics.ts"
import { Hints } from "./replication/Hints.ts"
import { Intake } from "./replication/Intake.ts"
import { Peers } from "./replication/Peers.ts"
import { Replicator } from "./replicator/Replicator.ts"
import { Ring } from "./ring/Ring.ts"
import { Snapshots } from "./storage/Snapshots.ts"
import { Storage } from "./storage/Storage.ts"

/** Over the caller's store: the simulator passes one that it can watch. */
export const layerOver = (storage: typeof Storage.layer) =>
  Coordinator.layer.pipe(
    Layer.provideMerge(Replicator.layer),
    Layer.provide(LostRanges.layer),
    Layer.provide(Reconciler.layer),
    Layer.provideMerge(Holdings.layer),
    Layer.provide([Hints.layer, Intake.layer, Peers.layer, Recovery.layer]),
    Layer.provideMerge(Ring.layer),
    Layer.provideMerge(Gossip.layer),
    Layer.provideMerge(LamportClock.layer),
    Layer.provideMerge(Snapshots.layer),
    Layer.provideMerge(storage),
    Layer.provideMerge(Identity.layer),
    Layer.provideMerge(Metrics.layer)
  )

/** Needs `Disk`, `PeerClient`, `NodeConfig` and `ClusterConfig`. */
export const layer = layerOver(Storage.layer)
