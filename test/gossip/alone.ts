/** Clusters of five nodes that consist of gossip alone. The first two are everybody's seeds. */
import { Effect, Layer, Stream } from "effect"
import { Holdings } from "../../src/anti-entropy/Holdings.ts"
import { LamportClock } from "../../src/clock/LamportClock.ts"
import { Coordinator } from "../../src/coordinator/Coordinator.ts"
import { Identity } from "../../src/disk/Identity.ts"
import type { Liveness } from "../../src/gossip/Gossip.ts"
import { Gossip } from "../../src/gossip/Gossip.ts"
import { Metrics } from "../../src/observability/Metrics.ts"
import type { GossipMessage, MemberRecord } from "../../src/peer/PeerProtocol.ts"
import { Replicator } from "../../src/replicator/Replicator.ts"
import { Ring } from "../../src/ring/Ring.ts"
import * as peerMessages from "../../src/simulation/peerMessages.ts"
import type { SimulatedNode } from "../../src/simulation/SimulatedNode.ts"
import { TestCluster } from "../../src/simulation/TestCluster.ts"
import { Storage } from "../../src/storage/Storage.ts"
import { layerMock } from "../replicator/fakes.ts"

/** The longest round: two seconds and the most that jitter adds, with time for the answers. */
export const roundMillis = 2_250

const layer = Gossip.layer.pipe(
  Layer.provideMerge(LamportClock.layer),
  Layer.provideMerge(Layer.mergeAll(
    layerMock(Coordinator, {}),
    layerMock(Holdings, {}),
    layerMock(Replicator, {}),
    layerMock(Ring, {}),
    layerMock(Storage, { counterMax: Effect.succeed(0) })
  )),
  Layer.provideMerge(Layer.merge(Identity.layer, Metrics.layer))
)

export const stopped = (seed: number) => {
  const cluster = new TestCluster({ nodes: 5, seed, layer })
  const [node1, node2, node3, node4, node5] = cluster.nodes as [
    SimulatedNode,
    SimulatedNode,
    SimulatedNode,
    SimulatedNode,
    SimulatedNode
  ]
  for (const node of cluster.nodes) node.settings = { seeds: [node1.address, node2.address] }
  return { cluster, node1, node2, node3, node4, node5 }
}

/** The first `count` run, know each other and have settled into their rhythm. */
export const settled = (count: number, seed = 1) => {
  const nodes = stopped(seed)
  for (const node of nodes.cluster.nodes.slice(0, count)) nodes.cluster.start(node)
  nodes.cluster.pass("20 seconds")
  return nodes
}

export const running = (cluster: TestCluster): ReadonlyArray<SimulatedNode> =>
  cluster.nodes.filter(({ services }) => services !== undefined)

export const knownTo = (node: SimulatedNode) => node.gossip.members().map(({ record }) => record.nodeId)

export const livenessIn = (node: SimulatedNode) => node.gossip.members().map(({ liveness }) => liveness)

export const recordIn = (node: SimulatedNode, { id }: SimulatedNode): MemberRecord =>
  node.gossip.members().find(({ record }) => record.nodeId === id)!.record

export interface Heard {
  readonly from: string
  readonly to: string
  readonly message: GossipMessage
}

/** From now on, every gossip that is sent, delivered or not, and every probe as `from>to target`. */
export const listen = ({ network }: TestCluster) => {
  const gossip: Array<Heard> = []
  const probes: Array<string> = []
  network.onSent = ({ body, from, kind, to }) => {
    if (kind === "gossip") gossip.push({ from, to, message: peerMessages.gossipMessage.decode(body)! })
    else probes.push(`${from}>${to} ${peerMessages.target.decode(body)!.target}`)
  }
  return { gossip, probes }
}

export interface Turn {
  readonly atMillis: number
  readonly liveness: Liveness
  /** Since news of the member last arrived. */
  readonly silentMillis: number
}

/** Writes down each change of one node's opinion of another. */
export const watch = (cluster: TestCluster, node: SimulatedNode, { id }: SimulatedNode): ReadonlyArray<Turn> => {
  const turns: Array<Turn> = []
  node.begin(Stream.runForEach(node.gossip.changes, (members) =>
    Effect.sync(() => {
      const member = members.find(({ record }) => record.nodeId === id)
      if (member === undefined || turns.at(-1)?.liveness === member.liveness) return
      const atMillis = cluster.nowMillis()
      turns.push({ atMillis, liveness: member.liveness, silentMillis: atMillis - member.heardAtMillis })
    })))
  return turns
}
