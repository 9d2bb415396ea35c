/**
 * Settings that every node of a cluster must share: nodes that disagree on them place or count replicas differently,
 * so a node refuses the messages of one whose settings differ (`gossip/handshake.ts`).
 */
import { Context, Effect, Layer } from "effect"
import * as Kind from "./Kind.ts"
import { defaultsOf, problemOf, readAll, setting, type Values } from "./Setting.ts"

export const declared = {
  replicationFactor: setting(
    "REPLICATION_FACTOR",
    "N, copies of each key; the same on all nodes",
    Kind.integer(1, 16),
    3
  ),
  writeQuorum: setting(
    "WRITE_QUORUM",
    "W, replicas that must take a write before it is acknowledged; the same on all nodes",
    Kind.integer(1),
    2
  ),
  readQuorum: setting("READ_QUORUM", "R, replicas that must answer a read; the same on all nodes", Kind.integer(1), 2)
}

export type ClusterSettings = Values<typeof declared> & {
  /** Fixed partitions of the key space. A power of two; never changed once data exists. */
  readonly partitions: number
}

/** 1,024 partitions keep the busiest of 30 nodes below 1.30 times the mean and a partition's hash tree small. */
const partitions = 1024

export const defaults: ClusterSettings = { ...defaultsOf(declared), partitions }

const quorumProblems = ({ replicationFactor, ...quorums }: Partial<Values<typeof declared>>) =>
  (["writeQuorum", "readQuorum"] as const).flatMap((name) => {
    const quorum = quorums[name]
    return quorum === undefined || replicationFactor === undefined || quorum <= replicationFactor
      ? []
      : [problemOf(declared[name], quorum, `at most REPLICATION_FACTOR, which is ${replicationFactor}`)]
  })

interface SettingsOf {
  readonly nodeId: string
  readonly settings: Readonly<Record<string, number>>
}

/** Where two nodes differ, a clause for each setting; empty when they may share a cluster. */
export const differences = (own: SettingsOf, other: SettingsOf): ReadonlyArray<string> =>
  (["replicationFactor", "writeQuorum", "readQuorum", "partitions"] as const).flatMap((name) => {
    const ours = own.settings[name]
    const theirs = other.settings[name]
    const called = name === "partitions" ? "the number of partitions" : declared[name].variable
    return ours === theirs
      ? []
      : [`${called} is ${ours} on ${own.nodeId} and ${theirs ?? "not known"} on ${other.nodeId}`]
  })

export const load = readAll(declared, quorumProblems).pipe(
  Effect.map((settings): ClusterSettings => ({ ...settings, partitions }))
)

export class ClusterConfig extends Context.Service<ClusterConfig, ClusterSettings>()("rondo/config/ClusterConfig") {
  static readonly layer = Layer.effect(ClusterConfig, load)

  static readonly layerTest = (overrides?: Partial<ClusterSettings>) =>
    Layer.succeed(ClusterConfig, { ...defaults, ...overrides })
}
