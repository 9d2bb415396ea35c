/** `rondo storage`: inspects and maintains the files of a node or a snapshot. Each command has a file of its own. */
import { Effect } from "effect"
import { Command } from "effect/cli"
import * as options from "./options.ts"

interface Loaded<Given, E, R> {
  readonly run: (given: Given) => Effect.Effect<void, E, R>
}

/** Loads a command's file when the command runs, since other commands need no storage engine. */
const loaded = <Given, E, R>(load: () => Promise<Loaded<Given, E, R>>) => (given: Given) =>
  Effect.flatMap(Effect.promise(load), ({ run }) => run(given))

const inspect = Command.make("inspect", options.inspect, loaded(() => import("./inspect.ts"))).pipe(
  Command.withDescription("Show tables by level, keys, sizes, logs, lost ranges, and read and space amplification"),
  Command.withExamples([
    { command: "rondo storage inspect data/node1", description: "Show what a stopped node has on disk" },
    { command: "rondo storage inspect data/node1/snapshots/monday --full --json | jq .spaceAmplification" }
  ])
)

const verify = Command.make("verify", options.verify, loaded(() => import("./verify.ts"))).pipe(
  Command.withDescription("Read every block, line, index and log; exit code 1 when something is damaged"),
  Command.withExamples([
    { command: "rondo storage verify /backup/node1", description: "Check that a backup can still be restored" }
  ])
)

const dump = Command.make("dump", options.dump, loaded(() => import("./dump.ts"))).pipe(
  Command.withDescription("Print the stored records as lines of JSON, in key order, ready for rondo import"),
  Command.withExamples([
    { command: "rondo storage dump data/node1 --prefix users/ | jq -r .key", description: "Look at some keys" },
    {
      command: "rondo storage dump backup/node1 backup/node2 backup/node3 | rondo import - --url new-cluster:8081",
      description: "Move a whole cluster's snapshots into another cluster, of any size"
    },
    { command: "rondo storage dump data/node1 --table 17 --cells --tombstones", description: "One table as it is" }
  ])
)

const compact = Command.make("compact", options.compact, loaded(() => import("./compact.ts"))).pipe(
  Command.withDescription("Rewrite the store of a stopped node without obsolete cells"),
  Command.withExamples([{ command: "rondo storage compact data/node1", description: "Free the space now" }])
)

const snapshot = Command.make("snapshot", options.snapshot, loaded(() => import("./snapshot.ts"))).pipe(
  Command.withDescription("Take a durable copy of what nodes store now, while they keep running"),
  Command.withExamples([
    {
      command: "rondo storage snapshot --node localhost:8081,localhost:8082,localhost:8083 monday",
      description: "One per node, in DATA_DIR/snapshots/monday"
    },
    { command: "rondo storage snapshot --node localhost:8081 --list", description: "List them" },
    { command: "rondo storage snapshot data/node1 /backup/node1", description: "Copy a stopped node" }
  ])
)

const restore = Command.make("restore", options.restore, loaded(() => import("./restore.ts"))).pipe(
  Command.withDescription("Verify a snapshot and make it the data directory of a node"),
  Command.withExamples([
    { command: "rondo storage restore data/node1/snapshots/monday data/node1-restored", description: "Without copying" }
  ])
)

const forgetLost = Command.make("forget-lost", options.forgetLost, loaded(() => import("./forgetLost.ts"))).pipe(
  Command.withDescription("Give up cells that damage destroyed and that no replica has any more"),
  Command.withExamples([
    { command: "rondo storage forget-lost data/node1", description: "Show what would be given up" }
  ])
)

export const storage = Command.make("storage").pipe(
  Command.withDescription("Look at a node's files, verify them, take snapshots and restore them"),
  Command.withSubcommands([inspect, verify, dump, compact, snapshot, restore, forgetLost])
)
