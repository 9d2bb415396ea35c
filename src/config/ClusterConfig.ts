/**
 * Settings that every node of a cluster must share: nodes that disagree on them place or count replicas
 * differently, so the gossip handshake refuses a peer whose settings differ.
 */
import { Config, Context, Effect, Layer, Schema } from "effect"

export interface ClusterSettings {
  /** Copies of each key: Dynamo's N. */
  readonly replicationFactor: number
  /** Replicas that must take a write before it is acknowledged: Dynamo's W. */
  readonly writeQuorum: number
  /** Replicas that must answer a read: Dynamo's R. */
  readonly readQuorum: number
  /** Fixed partitions of the key space. A power of two; never changed once data exists. */
  readonly partitions: number
}

/** 1,024 partitions keep the busiest of 30 nodes below 1.30 times the mean and a partition's hash tree small. */
export const defaults: ClusterSettings = { replicationFactor: 3, writeQuorum: 2, readQuorum: 2, partitions: 1024 }

/** Settings that contradict each other, with the sentence that the operator reads at start. */
export class BadClusterConfig extends Schema.TaggedError<BadClusterConfig>()("BadClusterConfig", {
  reason: Schema.String
}) {
  override get message() {
    return this.reason
  }
}

/** The reason why `settings` cannot work, or `undefined`. */
export const problem = (settings: ClusterSettings): string | undefined => {
  const { replicationFactor, writeQuorum, readQuorum } = settings
  if (replicationFactor < 1 || replicationFactor > 16) return "REPLICATION_FACTOR must be 1 to 16"
  if (writeQuorum < 1 || writeQuorum > replicationFactor) return "WRITE_QUORUM must be 1 to REPLICATION_FACTOR"
  if (readQuorum < 1 || readQuorum > replicationFactor) return "READ_QUORUM must be 1 to REPLICATION_FACTOR"
  return undefined
}

export class ClusterConfig extends Context.Service<ClusterConfig, ClusterSettings>()("rondo/config/ClusterConfig") {
  /** Reads `REPLICATION_FACTOR`, `WRITE_QUORUM` and `READ_QUORUM`. */
  static readonly layer = Layer.effect(
    ClusterConfig,
    Effect.gen(function*() {
      const settings: ClusterSettings = {
        replicationFactor: yield* Config.Int("REPLICATION_FACTOR").pipe(Config.withDefault(defaults.replicationFactor)),
        writeQuorum: yield* Config.Int("WRITE_QUORUM").pipe(Config.withDefault(defaults.writeQuorum)),
        readQuorum: yield* Config.Int("READ_QUORUM").pipe(Config.withDefault(defaults.readQuorum)),
        partitions: defaults.partitions
      }
      const reason = problem(settings)
      if (reason !== undefined) return yield* new BadClusterConfig({ reason })
      return settings
    })
  )

  static readonly layerTest = (overrides?: Partial<ClusterSettings>) =>
    Layer.succeed(ClusterConfig, { ...defaults, ...overrides })
}
