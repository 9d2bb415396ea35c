/**
 * Settings of this process alone. Each is an environment variable; `rondo serve` has a flag of the same meaning.
 */
import { Config, Context, Duration, Effect, Layer, Option, Redacted, Schema } from "effect"
import { NodeId } from "../domain/NodeId.ts"

/** When a write counts as on disk: `always` syncs before the acknowledgement, `interval` once a second, `never` leaves it to the system. */
export type Fsync = "always" | "interval" | "never"

export interface NodeSettings {
  readonly nodeId: NodeId
  /** The `host:port` at which peers and clients reach this node. */
  readonly address: string
  /** The `host:port` to bind. */
  readonly listen: string
  /** `host:port` of nodes to ask for the cluster at start; may name this node itself. */
  readonly seeds: ReadonlyArray<string>
  readonly dataDirectory: string
  readonly clusterSecret: Redacted.Redacted<string>
  /** Virtual nodes that this node takes on the ring. */
  readonly vnodes: number
  readonly fsync: Fsync
  readonly gossipInterval: Duration.Duration
  /** How long a client's request may take when it names no `?timeout=`. */
  readonly requestTimeout: Duration.Duration
  /** How long one attempt at one replica may take. */
  readonly replicaTimeout: Duration.Duration
  readonly valueBytesMax: number
  /** Client requests under way at once; more are refused with 503. */
  readonly requestsInFlightMax: number
  readonly hintsBytesMaxPerPeer: number
  /** Hints older than this are dropped; anti-entropy covers longer absences. */
  readonly hintWindow: Duration.Duration
  /** How often partitions are compared with each peer when nothing special happened; less often when that takes long. */
  readonly comparisonInterval: Duration.Duration
  /** The memtable is flushed to a table at this size, or when its log is four times as large. */
  readonly memtableBytesMax: number
  readonly blockCacheBytesMax: number
  /** How fast the scrub reads the tables in the background to find damage; 0 for not at all. */
  readonly scrubBytesPerSecond: number
  /** Start without what a damaged or missing log held, and then count for no quorum until level with all replicas. */
  readonly salvage: boolean
}

/** A setting that cannot work, with the sentence that the operator reads at start. */
export class BadNodeConfig extends Schema.TaggedError<BadNodeConfig>()("BadNodeConfig", {
  setting: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.setting}: ${this.reason}`
  }
}

const mebibyte = 1024 * 1024

/** Each costs two tokens on every node's ring; more than this only makes rings slow to build. */
export const vnodesMax = 10_000
/** Half of what one message between peers may hold. */
export const valueBytesMaxMax = 8 * mebibyte

/** Everything but the names and addresses, which have no sensible default. */
export const defaults = {
  vnodes: 100,
  fsync: "always" as Fsync,
  gossipInterval: Duration.seconds(2),
  requestTimeout: Duration.seconds(5),
  replicaTimeout: Duration.seconds(1),
  valueBytesMax: mebibyte,
  requestsInFlightMax: 1024,
  hintsBytesMaxPerPeer: 128 * mebibyte,
  hintWindow: Duration.hours(3),
  comparisonInterval: Duration.minutes(1),
  memtableBytesMax: 32 * mebibyte,
  blockCacheBytesMax: 128 * mebibyte,
  /**
   * 100 GiB take seven hours and a tebibyte three days, where archives are scrubbed weekly to monthly, for about a
   * hundredth of a core and a few hundredths of what the slowest disks read.
   */
  scrubBytesPerSecond: 4 * mebibyte,
  salvage: false
}

/** Splits `host:port`, with `[::1]:8080` for IPv6; `undefined` when it is neither. */
export const parseAddress = (text: string): { readonly host: string; readonly port: number } | undefined => {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:\s[\]/]+)):([0-9]{1,5})$/.exec(text)
  if (match === null) return undefined
  const port = Number(match[3])
  return port > 65535 ? undefined : { host: (match[1] ?? match[2])!, port }
}

/** Whether only this machine can reach the address. Whole IPv4 addresses only: `127.example.com` is a name like any other. */
export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || /^127(\.[0-9]{1,3}){3}$/.test(host)

const address = (setting: string, text: string) =>
  parseAddress(text) === undefined
    ? Effect.fail(new BadNodeConfig({ setting, reason: `"${text}" is not host:port, for example 127.0.0.1:8081` }))
    : Effect.succeed(text)

const between = (setting: string, value: number, minimum: number, maximum: number) =>
  value >= minimum && value <= maximum
    ? Effect.succeed(value)
    : Effect.fail(
      new BadNodeConfig({
        setting,
        reason: `must be ${minimum}${maximum === Number.MAX_SAFE_INTEGER ? " or more" : ` to ${maximum}`}, not ${value}`
      })
    )

/** An interval of zero would spin, an endless one never act. */
const positive = (setting: string, value: Duration.Duration) =>
  Duration.isFinite(value) && Duration.isGreaterThan(value, Duration.zero)
    ? Effect.succeed(value)
    : Effect.fail(new BadNodeConfig({ setting, reason: `must be more than 0, not ${Duration.format(value)}` }))

const load = Effect.gen(function*() {
  const nodeId = yield* Config.schema(NodeId, "NODE_ID")
  const advertised = yield* Effect.flatMap(Config.String("NODE_ADDR"), (text) => address("NODE_ADDR", text))
  const listen = yield* Effect.flatMap(
    Config.String("LISTEN").pipe(Config.withDefault(advertised)),
    (text) => address("LISTEN", text)
  )
  const peers = yield* Config.String("PEERS").pipe(Config.withDefault(""))
  const seeds = yield* Effect.forEach(
    peers.split(",").map((text) => text.trim()).filter((text) => text !== ""),
    (text) => address("PEERS", text)
  )
  const clusterSecret = yield* Config.option(Config.Redacted("CLUSTER_SECRET"))
  const insecure = yield* Config.Boolean("INSECURE").pipe(Config.withDefault(false))
  const secret = Option.getOrElse(clusterSecret, () => Redacted.make(""))
  if (!isLoopback(parseAddress(listen)!.host) && Redacted.value(secret) === "" && !insecure) {
    return yield* new BadNodeConfig({
      setting: "CLUSTER_SECRET",
      reason: `listening on ${listen} lets other machines in, so peers must share a secret; ` +
        "set CLUSTER_SECRET, or INSECURE=true when every machine that can reach this address is trusted"
    })
  }
  const integer = (setting: string, fallback: number, maximum = Number.MAX_SAFE_INTEGER, minimum = 1) =>
    Effect.flatMap(
      Config.Int(setting).pipe(Config.withDefault(fallback)),
      (value) => between(setting, value, minimum, maximum)
    )
  const duration = (setting: string, fallback: Duration.Duration) =>
    Effect.flatMap(Config.Duration(setting).pipe(Config.withDefault(fallback)), (value) => positive(setting, value))
  const settings: NodeSettings = {
    nodeId,
    address: advertised,
    listen,
    seeds,
    dataDirectory: yield* Config.String("DATA_DIR").pipe(Config.withDefault(`data/${nodeId}`)),
    clusterSecret: secret,
    vnodes: yield* integer("VNODES", defaults.vnodes, vnodesMax),
    fsync: yield* Config.Literals(["always", "interval", "never"], "FSYNC").pipe(Config.withDefault(defaults.fsync)),
    gossipInterval: yield* duration("GOSSIP_INTERVAL", defaults.gossipInterval),
    requestTimeout: yield* duration("REQUEST_TIMEOUT", defaults.requestTimeout),
    replicaTimeout: yield* duration("REPLICA_TIMEOUT", defaults.replicaTimeout),
    valueBytesMax: yield* integer("VALUE_BYTES_MAX", defaults.valueBytesMax, valueBytesMaxMax),
    requestsInFlightMax: yield* integer("REQUESTS_IN_FLIGHT_MAX", defaults.requestsInFlightMax),
    hintsBytesMaxPerPeer: yield* integer("HINTS_BYTES_MAX", defaults.hintsBytesMaxPerPeer),
    hintWindow: yield* duration("HINT_WINDOW", defaults.hintWindow),
    comparisonInterval: yield* duration("COMPARISON_INTERVAL", defaults.comparisonInterval),
    memtableBytesMax: yield* integer("MEMTABLE_BYTES_MAX", defaults.memtableBytesMax),
    blockCacheBytesMax: yield* integer("BLOCK_CACHE_BYTES_MAX", defaults.blockCacheBytesMax),
    scrubBytesPerSecond: yield* integer("SCRUB_BYTES_PER_SECOND", defaults.scrubBytesPerSecond, undefined, 0),
    salvage: yield* Config.Boolean("SALVAGE").pipe(Config.withDefault(defaults.salvage))
  }
  return settings
})

export class NodeConfig extends Context.Service<NodeConfig, NodeSettings>()("rondo/config/NodeConfig") {
  /** Reads the environment, or the `ConfigProvider` that `rondo serve` lays over it for its flags. */
  static readonly layer = Layer.effect(NodeConfig, load)

  static readonly layerTest = (overrides?: Partial<NodeSettings>) =>
    Layer.succeed(NodeConfig, {
      nodeId: NodeId.make("node1"),
      address: "127.0.0.1:8081",
      listen: "127.0.0.1:8081",
      seeds: [],
      dataDirectory: "data",
      clusterSecret: Redacted.make("test secret"),
      ...defaults,
      ...overrides
    })
}
