/** Settings of this process alone. */
import { Context, Layer, Redacted } from "effect"
import { NodeId, nodeIdShape } from "../domain/NodeId.ts"
import { isLoopback, parseAddress } from "./address.ts"
import * as Setting from "./Setting.ts"

/** When a write counts as on disk. */
export type Fsync = "always" | "interval" | "never"

/** Names and addresses of this node and its peers. */
export const identity = {
  nodeId: Setting.make(
    "NODE_ID",
    "name of this node; keep it for as long as the node keeps its data",
    Setting.kind(NodeId, nodeIdShape)
  ),
  address: Setting.make("NODE_ADDR", "host:port at which peers and clients reach this node", Setting.address),
  listen: Setting.make("LISTEN", "host:port to listen on", Setting.address, "NODE_ADDR"),
  seeds: Setting.make(
    "PEERS",
    "host:port of other nodes to join at start, separated by commas; may include this node",
    Setting.addresses,
    ""
  ),
  dataDirectory: Setting.make("DATA_DIR", "directory for this node's data", Setting.text, "data/NODE_ID"),
  clusterSecret: Setting.make(
    "CLUSTER_SECRET",
    "secret that all nodes share; required to listen on anything but loopback. Other users of a machine can see flags, " +
      "so set the variable",
    Setting.secret,
    ""
  ),
  insecure: Setting.make("INSECURE", "listen on any address without a secret", Setting.onOff, "false")
}

const mebibyte = 1024 * 1024

/** Each costs two tokens on every node's ring; more than this makes rings slow to build and no better. */
export const vnodesMax = 10_000
/** Half the size of the largest message between peers. */
export const valueBytesMaxMax = 8 * mebibyte
/**
 * 100 GiB take seven hours and a tebibyte three days; archives are scrubbed weekly to monthly. It costs about a hundredth
 * of a core and a few hundredths of the read rate of the slowest disks.
 */
const scrubBytesPerSecond = 4 * mebibyte

/** Everything that works without being given. */
export const tuning = {
  fsync: Setting.make(
    "FSYNC",
    "always syncs before a write is acknowledged, interval once a second, never leaves it to the system",
    Setting.oneOf(["always", "interval", "never"]),
    "always"
  ),
  vnodes: Setting.make(
    "VNODES",
    "virtual nodes on the ring: a node with twice as many takes twice the share",
    Setting.integer(1, vnodesMax),
    100
  ),
  gossipInterval: Setting.make("GOSSIP_INTERVAL", "time between rounds of gossip", Setting.duration, "2 seconds"),
  requestTimeout: Setting.make(
    "REQUEST_TIMEOUT",
    "how long a request without ?timeout= may take",
    Setting.duration,
    "5 seconds"
  ),
  replicaTimeout: Setting.make(
    "REPLICA_TIMEOUT",
    "how long one attempt at one replica may take",
    Setting.duration,
    "1 second"
  ),
  valueBytesMax: Setting.make(
    "VALUE_BYTES_MAX",
    "largest value, in bytes",
    Setting.integer(1, valueBytesMaxMax),
    mebibyte
  ),
  requestsInFlightMax: Setting.make(
    "REQUESTS_IN_FLIGHT_MAX",
    "client requests in flight; more are refused with 503",
    Setting.integer(1),
    1024
  ),
  hintsBytesMaxPerPeer: Setting.make(
    "HINTS_BYTES_MAX",
    "bytes of hints kept on disk for one absent peer",
    Setting.integer(1),
    128 * mebibyte
  ),
  hintWindow: Setting.make(
    "HINT_WINDOW",
    "hints older than this are dropped; comparing partitions makes up for them",
    Setting.duration,
    "3 hours"
  ),
  comparisonInterval: Setting.make(
    "COMPARISON_INTERVAL",
    "how often partitions are compared with each peer when nothing else calls for it; less often when that takes long",
    Setting.duration,
    "1 minute"
  ),
  memtableBytesMax: Setting.make(
    "MEMTABLE_BYTES_MAX",
    "the memtable is flushed to a table at this size, or when its log is four times as large",
    Setting.integer(1),
    32 * mebibyte
  ),
  blockCacheBytesMax: Setting.make(
    "BLOCK_CACHE_BYTES_MAX",
    "bytes of table blocks kept in memory",
    Setting.integer(1),
    128 * mebibyte
  ),
  scrubBytesPerSecond: Setting.make(
    "SCRUB_BYTES_PER_SECOND",
    "how fast tables are reread in the background, to find damage while other replicas can repair it; 0 turns it off",
    Setting.integer(0),
    scrubBytesPerSecond
  ),
  salvage: Setting.make(
    "SALVAGE",
    "start without the damaged part of the log; the node then syncs with every other replica before it votes in quorums",
    Setting.onOff,
    "false"
  )
}

const declared = { ...identity, ...tuning }

export interface NodeSettings extends Setting.Values<typeof declared> {}

export const defaults = Setting.defaults(tuning)

/** Without a secret, every machine that reaches the node can act as a peer. */
const secretProblems = ({ clusterSecret, insecure, listen }: Partial<NodeSettings>) =>
  listen === undefined || clusterSecret === undefined || isLoopback(parseAddress(listen)!.host) ||
    Redacted.value(clusterSecret) !== "" || insecure !== false
    ? []
    : [
      `${
        Setting.nameOf(identity.clusterSecret)
      } is not set, but other machines can reach ${listen}, so peers must share ` +
      "a secret. Set it, or set INSECURE=true (--insecure) if you trust every machine that can reach this address"
    ]

export const load = Setting.readAll(declared, secretProblems)

export class NodeConfig extends Context.Service<NodeConfig, NodeSettings>()("rondo/config/NodeConfig") {
  static readonly layer = Layer.effect(NodeConfig, load)

  static readonly layerTest = (overrides?: Partial<NodeSettings>) =>
    Layer.succeed(NodeConfig, {
      nodeId: NodeId.make("node1"),
      address: "127.0.0.1:8081",
      listen: "127.0.0.1:8081",
      seeds: [],
      dataDirectory: "data",
      clusterSecret: Redacted.make("test secret"),
      insecure: false,
      ...defaults,
      ...overrides
    })
}
