/** Settings of this process alone. */
import { Context, Layer, Redacted } from "effect"
import { NodeId, nodeIdShape } from "../domain/NodeId.ts"
import { isLoopback, parseAddress } from "./address.ts"
import * as Kind from "./Kind.ts"
import { defaultsOf, nameOf, readAll, setting, type Values } from "./Setting.ts"

/** When a write counts as on disk. */
export type Fsync = "always" | "interval" | "never"

/** Names and addresses of this node and its peers. */
export const identity = {
  nodeId: setting(
    "NODE_ID",
    "name of this node; keep it for as long as the node keeps its data",
    Kind.of(NodeId, nodeIdShape)
  ),
  address: setting("NODE_ADDR", "host:port at which peers and clients reach this node", Kind.address),
  listen: setting("LISTEN", "host:port to listen on", Kind.address, "NODE_ADDR"),
  seeds: setting(
    "PEERS",
    "host:port of other nodes to join at start, separated by commas; may include this node",
    Kind.addresses,
    ""
  ),
  dataDirectory: setting("DATA_DIR", "directory for this node's data", Kind.text, "data/NODE_ID"),
  clusterSecret: setting(
    "CLUSTER_SECRET",
    "secret that all nodes share; required to listen on anything but loopback. Other users of a machine can see " +
      "flags, so set the variable",
    Kind.secret,
    ""
  ),
  insecure: setting("INSECURE", "listen on any address without a secret", Kind.onOff, "false")
}

const mebibyte = 1024 * 1024

/** Each costs two tokens on every node's ring; more than this makes rings slow to build and no better. */
export const vnodesMax = 10_000
/** Half the size of the largest message between peers. */
export const valueBytesMaxMax = 8 * mebibyte
/**
 * 100 GiB take seven hours and a tebibyte three days; archives are scrubbed weekly to monthly. It costs about a
 * hundredth of a core and a few hundredths of the read rate of the slowest disks.
 */
const scrubBytesPerSecond = 4 * mebibyte

/** Everything that works without being given. */
export const tuning = {
  fsync: setting(
    "FSYNC",
    "always syncs before a write is acknowledged, interval once a second, never leaves it to the system",
    Kind.oneOf(["always", "interval", "never"]),
    "always"
  ),
  vnodes: setting(
    "VNODES",
    "virtual nodes on the ring: a node with twice as many takes twice the share",
    Kind.integer(1, vnodesMax),
    100
  ),
  gossipInterval: setting("GOSSIP_INTERVAL", "time between rounds of gossip", Kind.duration, "2 seconds"),
  requestTimeout: setting(
    "REQUEST_TIMEOUT",
    "how long a request without ?timeout= may take",
    Kind.duration,
    "5 seconds"
  ),
  replicaTimeout: setting("REPLICA_TIMEOUT", "how long one attempt at one replica may take", Kind.duration, "1 second"),
  valueBytesMax: setting("VALUE_BYTES_MAX", "largest value, in bytes", Kind.integer(1, valueBytesMaxMax), mebibyte),
  requestsInFlightMax: setting(
    "REQUESTS_IN_FLIGHT_MAX",
    "client requests in flight; more are refused with 503",
    Kind.integer(1),
    1024
  ),
  hintsBytesMaxPerPeer: setting(
    "HINTS_BYTES_MAX",
    "bytes of hints kept on disk for one absent peer",
    Kind.integer(1),
    128 * mebibyte
  ),
  hintWindow: setting(
    "HINT_WINDOW",
    "hints older than this are dropped; comparing partitions makes up for them",
    Kind.duration,
    "3 hours"
  ),
  comparisonInterval: setting(
    "COMPARISON_INTERVAL",
    "how often partitions are compared with each peer when nothing else calls for it; less often when that takes long",
    Kind.duration,
    "1 minute"
  ),
  memtableBytesMax: setting(
    "MEMTABLE_BYTES_MAX",
    "the memtable is flushed to a table at this size or, by chance, at up to a tenth less; also when its log is " +
      "four times as large",
    Kind.integer(1024),
    32 * mebibyte
  ),
  blockCacheBytesMax: setting(
    "BLOCK_CACHE_BYTES_MAX",
    "bytes of table blocks kept in memory",
    Kind.integer(1),
    48 * mebibyte
  ),
  scrubBytesPerSecond: setting(
    "SCRUB_BYTES_PER_SECOND",
    "how fast tables are reread in the background, to find damage while other replicas can repair it; 0 turns it off",
    Kind.integer(0),
    scrubBytesPerSecond
  ),
  salvage: setting(
    "SALVAGE",
    "start without the damaged part of the log; the node then syncs with every other replica before it votes in " +
      "quorums",
    Kind.onOff,
    "false"
  )
}

const declared = { ...identity, ...tuning }

export interface NodeSettings extends Values<typeof declared> {}

export const defaults = defaultsOf(tuning)

/** Without a secret, every machine that reaches the node can act as a peer. */
const secretProblems = ({ clusterSecret, insecure, listen }: Partial<NodeSettings>): ReadonlyArray<string> => {
  if (listen === undefined || isLoopback(parseAddress(listen)!.host)) return []
  if (clusterSecret === undefined || Redacted.value(clusterSecret) !== "" || insecure !== false) return []
  const name = nameOf(identity.clusterSecret)
  return [
    `${name} is not set, but other machines can reach ${listen}, so peers must share a secret. ` +
    "Set it, or set INSECURE=true (--insecure) if you trust every machine that can reach this address"
  ]
}

export const load = readAll(declared, secretProblems)

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
