/**
 * `rondo storage`: inspects and maintains the files of a node or a snapshot. Each command has a file of its own, loaded
 * when the command runs, since other commands need no storage engine.
 */
import { Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { json, onOff, optionalInteger, quiet, text } from "../flags.ts"

const directory = Argument.String("directory").pipe(
  Argument.withDescription("Data directory of a node that is stopped, or a snapshot")
)

const inspect = Command.make("inspect", {
  directory,
  tables: onOff("tables", "List every table instead of one line per level"),
  full: onOff("full", "Read everything, to measure space amplification"),
  json,
  quiet
}, (given) => Effect.flatMap(Effect.promise(() => import("./inspect.ts")), ({ inspect }) => inspect(given))).pipe(
  Command.withDescription("Show tables by level, keys, sizes, logs, what is lost, and read and space amplification"),
  Command.withExamples([
    { command: "rondo storage inspect data/node1", description: "Show what a stopped node has on disk" },
    { command: "rondo storage inspect data/node1/snapshots/monday --full --json | jq .spaceAmplification" }
  ])
)

const verify = Command.make(
  "verify",
  { directory, json, quiet },
  (given) => Effect.flatMap(Effect.promise(() => import("./verify.ts")), ({ verify }) => verify(given))
).pipe(
  Command.withDescription("Read every block, line, index and log; exit code 1 when something is damaged"),
  Command.withExamples([
    { command: "rondo storage verify /backup/node1", description: "Check that a backup can still be restored" }
  ])
)

const dump = Command.make("dump", {
  directories: Argument.String("directory").pipe(
    Argument.withDescription(
      "Data directories of stopped nodes, or snapshots; several are merged, and the newest cell of each key wins"
    ),
    Argument.atLeast(1)
  ),
  prefix: Flag.String("prefix").pipe(Flag.withDescription("Only keys with this prefix"), Flag.withDefault("")),
  from: text("from", "Start at this key"),
  to: text("to", "Stop before this key"),
  reverse: onOff("reverse", "Print from the last key to the first"),
  limit: optionalInteger("limit", "Print at most N records", { minimum: 0 }),
  table: optionalInteger("table", "Only the cells of the table with this number, which may be obsolete", {
    minimum: 0
  }),
  cells: onOff("cells", "Print cells with their versions, as tables hold them, instead of records"),
  tombstones: onOff("tombstones", "With --cells: print tombstones too"),
  skipDamage: onOff("skip-damage", "Skip what is damaged"),
  quiet
}, (given) => Effect.flatMap(Effect.promise(() => import("./dump.ts")), ({ dump }) => dump(given))).pipe(
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

const compact = Command.make(
  "compact",
  { directory, json, quiet },
  (given) => Effect.flatMap(Effect.promise(() => import("./compact.ts")), ({ compact }) => compact(given))
).pipe(
  Command.withDescription("Rewrite the store of a stopped node without obsolete cells"),
  Command.withExamples([{ command: "rondo storage compact data/node1", description: "Free the space now" }])
)

const snapshot = Command.make("snapshot", {
  names: Argument.String("name").pipe(
    Argument.withDescription(
      "With --node: the snapshot's name. Without: a stopped node's directory, and a new directory to write"
    ),
    Argument.between(0, 2)
  ),
  node: text("node", "Running nodes to ask, separated by commas; needs CLUSTER_SECRET"),
  list: onOff("list", "With --node: list the snapshots that the nodes keep"),
  remove: onOff("remove", "With --node: remove the snapshot with this name"),
  json
}, (given) => Effect.flatMap(Effect.promise(() => import("./snapshot.ts")), ({ snapshot }) => snapshot(given))).pipe(
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

const restore = Command.make("restore", {
  snapshot: Argument.String("snapshot").pipe(Argument.withDescription("Directory of the snapshot")),
  directory: Argument.String("directory").pipe(Argument.withDescription("Data directory, new or empty")),
  allowDamage: onOff("allow-damage", "Restore a damaged snapshot as far as possible; other replicas have the rest"),
  json,
  quiet
}, (given) => Effect.flatMap(Effect.promise(() => import("./restore.ts")), ({ restore }) => restore(given))).pipe(
  Command.withDescription("Verify a snapshot and make it the data directory of a node"),
  Command.withExamples([
    { command: "rondo storage restore data/node1/snapshots/monday data/node1-restored", description: "Without copying" }
  ])
)

const forgetLost = Command.make("forget-lost", {
  directory,
  yes: onOff("yes", "Confirm"),
  json
}, (given) =>
  Effect.flatMap(
    Effect.promise(() => import("./forgetLost.ts")),
    ({ forgetLost }) => forgetLost(given)
  )).pipe(
    Command.withDescription("Give up cells that damage destroyed and that no replica has any more"),
    Command.withExamples([{
      command: "rondo storage forget-lost data/node1",
      description: "Show what would be given up"
    }])
  )

export const storage = Command.make("storage").pipe(
  Command.withDescription("Look at a node's files, verify them, take snapshots and restore them"),
  Command.withSubcommands([inspect, verify, dump, compact, snapshot, restore, forgetLost])
)
