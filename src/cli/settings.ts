/**
 * The settings of a node as flags: each environment variable of `NodeConfig` and `ClusterConfig` has one of the same
 * meaning, which wins over it.
 */
import { Cause, ConfigProvider, Effect, Exit, Layer, Option, Predicate } from "effect"
import { Flag } from "effect/cli"
import { BadClusterConfig, ClusterConfig } from "../config/ClusterConfig.ts"
import { BadNodeConfig, NodeConfig } from "../config/NodeConfig.ts"
import * as Logging from "../observability/Logging.ts"

/** Variable, what it means, and a value that lets the others be checked when this one is wrong. */
const settings = [
  ["NODE_ID", "Name of this node, the same for as long as it keeps its data", "node"],
  ["NODE_ADDR", "host:port at which peers and clients reach this node", "127.0.0.1:1"],
  ["LISTEN", "host:port to bind. Default: NODE_ADDR", "127.0.0.1:1"],
  ["PEERS", "host:port of other nodes to ask for the cluster, separated by commas", ""],
  ["DATA_DIR", "Directory of this node's data. Default: data/NODE_ID", "data"],
  ["CLUSTER_SECRET", "Secret that all nodes share; better given as a variable, since others can see flags", "secret"],
  ["REPLICATION_FACTOR", "Copies of each key. Default: 3", "3"],
  ["WRITE_QUORUM", "Replicas that must take a write. Default: 2", "2"],
  ["READ_QUORUM", "Replicas that must answer a read. Default: 2", "2"],
  ["VNODES", "Virtual nodes that this node takes on the ring. Default: 100", "100"],
  ["FSYNC", "When a write is synced to disk: always, interval or never. Default: always", "always"],
  ["GOSSIP_INTERVAL", "Time between gossip rounds. Default: 2 seconds", "2 seconds"],
  ["COMPARISON_INTERVAL", "How often partitions are compared with each peer. Default: 1 minute", "1 minute"],
  ["REQUEST_TIMEOUT", "How long a client's request may take. Default: 5 seconds", "5 seconds"],
  ["REPLICA_TIMEOUT", "How long one attempt at one replica may take. Default: 1 second", "1 second"],
  ["VALUE_BYTES_MAX", "Largest value in bytes. Default: 1048576", "1048576"],
  ["REQUESTS_IN_FLIGHT_MAX", "Client requests under way at once; more are refused. Default: 1024", "1024"],
  ["HINTS_BYTES_MAX", "Bytes of hints kept for one absent peer. Default: 134217728", "134217728"],
  ["HINT_WINDOW", "Hints older than this are dropped. Default: 3 hours", "3 hours"],
  ["MEMTABLE_BYTES_MAX", "The memtable is flushed to a table at this size. Default: 33554432", "33554432"],
  ["BLOCK_CACHE_BYTES_MAX", "Bytes of table blocks kept in memory. Default: 134217728", "134217728"],
  ["SCRUB_BYTES_PER_SECOND", "How fast tables are read again to find damage; 0 is off. Default: 4194304", "4194304"],
  ["LOG_LEVEL", "all, trace, debug, info, warn, error or none. Default: info", "info"],
  ["LOG_FORMAT", "human or json. Default: human", "human"]
] as const

export const variables: ReadonlyArray<string> = [...settings.map(([variable]) => variable), "INSECURE", "SALVAGE"]

export const flagName = (variable: string): string => variable.toLowerCase().replaceAll("_", "-")

/** Flags by variable. */
export const flags: Record<string, Flag.Flag<Option.Option<string>>> = Object.fromEntries(
  settings.map(([variable, meaning]) => [
    variable,
    Flag.String(flagName(variable)).pipe(Flag.withDescription(`${meaning} (${variable})`), Flag.optional)
  ])
)

const onOff = (name: string, meaning: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(meaning), Flag.withDefault(false))

/** Flags without a value. */
export const switches = {
  insecure: onOff("insecure", "Allow other machines in without a secret (INSECURE)"),
  salvage: onOff("salvage", "Start without what a damaged log held, then get level with all replicas (SALVAGE)")
}

/** The variables that the given flags stand for. */
export const overrides = (
  given: Readonly<Record<string, Option.Option<string>>>,
  { insecure, salvage }: { readonly insecure: boolean; readonly salvage: boolean }
): Record<string, string> => {
  const values: Record<string, string> = {}
  if (insecure) values["INSECURE"] = "true"
  if (salvage) values["SALVAGE"] = "true"
  for (const [variable, value] of Object.entries(given)) {
    if (Option.isSome(value)) values[variable] = value.value
  }
  return values
}

/** Lays the flags over what was there before, usually the environment. */
export const provider = (given: Readonly<Record<string, string>>) =>
  Effect.map(
    ConfigProvider.ConfigProvider,
    (before) => ConfigProvider.fromEnvRecord(given).pipe(ConfigProvider.orElse(before))
  )

const layer = Layer.mergeAll(NodeConfig.layer, ClusterConfig.layer, Logging.layer)

/**
 * Everything that is wrong with the settings, one sentence each; empty when the node can start. The services stop at
 * their first error, so each culprit is set aside and the rest is read again.
 */
export const problems = Effect.fnUntraced(function*(source: ConfigProvider.ConfigProvider) {
  const found: Array<string> = []
  const aside = new Map<string, string>()
  while (found.length <= settings.length) {
    let lastRead = ""
    const tracked = ConfigProvider.make((path) => {
      lastRead = path.join("_")
      const standIn = aside.get(lastRead)
      return standIn === undefined ? source.load(path) : Effect.succeed(ConfigProvider.makeValue(standIn))
    })
    const exit = yield* Effect.exit(Effect.scoped(Effect.provide(Layer.build(layer), ConfigProvider.layer(tracked))))
    if (Exit.isSuccess(exit)) return found
    const error = Cause.squash(exit.cause)
    const culprit = error instanceof BadNodeConfig
      ? error.setting
      : error instanceof BadClusterConfig
      ? error.reason.split(" ")[0]!
      : lastRead
    if (aside.has(culprit)) return found
    aside.set(culprit, settings.find(([variable]) => variable === culprit)?.[2] ?? "")
    found.push(yield* sentence(culprit, error, source))
  }
  return found
})

const sentence = Effect.fnUntraced(function*(
  variable: string,
  error: unknown,
  source: ConfigProvider.ConfigProvider
) {
  const name = `${variable} (--${flagName(variable)})`
  if (error instanceof BadNodeConfig) return `${name}: ${error.reason}`
  if (error instanceof BadClusterConfig) return `${name}: ${error.reason}`
  const node = yield* Effect.orElseSucceed(source.load([variable]), () => undefined)
  const meaning = settings.find(([known]) => known === variable)?.[1] ?? ""
  if (node?.value === undefined) return `${name} is not set: ${meaning}`
  const reason = Predicate.hasProperty(error, "message") ? String(error.message).split("\n")[0]! : String(error)
  return `${name} is "${node.value}": ${reason.replace(/^SchemaError\(|\)$/g, "")}`
})
