/** `rondo serve`: one node in the foreground, until it is stopped. */
import { ConfigProvider, Effect, Layer } from "effect"
import { Command, Flag } from "effect/cli"
import { ClusterConfig, type ClusterSettings } from "../config/ClusterConfig.ts"
import { NodeConfig, type NodeSettings } from "../config/NodeConfig.ts"
import { Corruption, DiskError } from "../disk/StorageError.ts"
import { failed } from "./CommandFailed.ts"
import { parentGone } from "./NodeProcess.ts"
import { printLine } from "./Output.ts"
import * as settings from "./settings.ts"

const startLine = (node: NodeSettings): string =>
  `${node.nodeId} is ready at http://${node.address}` +
  (node.listen === node.address ? "" : `, listening on ${node.listen}`) +
  `, data in ${node.dataDirectory}, process ${process.pid}`

/** Says what to do about a damaged file of the data directory. */
const advice = (path: string) =>
  /\/wal-\d+\.log$/.test(path)
    ? "\n  Start it once with --salvage (SALVAGE=true) to run without the damaged part of its log. It may have" +
      "\n  acknowledged writes there, so it does not vote in quorums until it has synced with every other replica."
    : "\n  The other replicas hold this node's data: move its data directory away and start it empty. It syncs from" +
      "\n  them."

const unusable: Readonly<Record<string, string>> = {
  EEXIST: "is no directory",
  ENOTDIR: "is in no directory",
  EACCES: "is not open to this user",
  EROFS: "is on a disk that cannot be written"
}

/** One sentence and the next step; a stack trace would hide them. */
const cannotStart = (error: unknown) => {
  const reason = error instanceof DiskError ? unusable[error.code] : undefined
  if (error instanceof DiskError && reason !== undefined) {
    return failed(`cannot start: ${error.path} ${reason}; set DATA_DIR to a directory that this user may write`)
  }
  const text = error instanceof Error ? error.message : String(error)
  return failed(`cannot start: ${text}${error instanceof Corruption ? advice(error.path) : ""}`)
}

const warnOfQuorums = ({ readQuorum, replicationFactor, writeQuorum }: ClusterSettings) =>
  writeQuorum + readQuorum > replicationFactor ? Effect.void : Effect.logWarning(
    `WRITE_QUORUM and READ_QUORUM together are ${
      writeQuorum + readQuorum
    }, not more than REPLICATION_FACTOR, which is ` +
      `${replicationFactor}: a read may miss a write that was acknowledged before it`
  )

/** `node` is the whole node except its settings, which this command reads. */
export const serve = <A, E>(node: Layer.Layer<A, E, NodeConfig | ClusterConfig>) =>
  Command.make(
    "serve",
    {
      settings: settings.flags,
      exitWithParent: Flag.Boolean("exit-with-parent").pipe(Flag.withDefault(false), Flag.withHidden)
    },
    Effect.fnUntraced(function*(given) {
      const provider = yield* settings.provider(given.settings)
      const problems = yield* Effect.provideService(settings.problems, ConfigProvider.ConfigProvider, provider)
      if (problems.length > 0) {
        return yield* failed(
          `cannot start with these settings:\n${problems.map((problem) => `  - ${problem}`).join("\n")}`
        )
      }
      const run = Effect.gen(function*() {
        yield* warnOfQuorums(yield* ClusterConfig)
        yield* Effect.mapError(Layer.build(node), cannotStart)
        yield* printLine(startLine(yield* NodeConfig))
        return yield* Effect.never
      })
      return yield* (given.exitWithParent ? Effect.raceFirst(run, parentGone) : run).pipe(
        Effect.scoped,
        Effect.provide(
          Layer.mergeAll(NodeConfig.layer, ClusterConfig.layer).pipe(Layer.provideMerge(ConfigProvider.layer(provider)))
        )
      )
    })
  ).pipe(
    Command.withDescription("Run one node in the foreground; the variable in parentheses sets the same as the flag"),
    Command.withExamples([
      {
        command: "rondo serve --node-id node1 --node-addr 127.0.0.1:8081 --peers 127.0.0.1:8081,127.0.0.1:8082",
        description: "Start a node by flags"
      },
      {
        command: "NODE_ID=node2 NODE_ADDR=127.0.0.1:8082 PEERS=127.0.0.1:8081 rondo serve",
        description: "Start a node by environment variables"
      }
    ])
  )
