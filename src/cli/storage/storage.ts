/**
 * `rondo storage`: looks at the files of a node or a snapshot, and takes care of them. Each command's work is in a file of
 * its own, loaded when it is run, since other commands need no storage engine.
 */
import { Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"

const directory = Argument.String("directory").pipe(
  Argument.withDescription("Data directory of a node that is stopped, or a snapshot")
)

const json = Flag.Boolean("json").pipe(
  Flag.withDescription("Print the result as JSON, for programs"),
  Flag.withDefault(false)
)

const quiet = Flag.Boolean("quiet").pipe(Flag.withDescription("Show no progress"), Flag.withDefault(false))

const choice = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false))

const text = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.optional)

const inspect = Command.make("inspect", {
  directory,
  tables: choice("tables", "List every table, not only the levels"),
  full: choice("full", "Read everything, to measure how much of the space newest cells take"),
  json,
  quiet
}, (given) => Effect.flatMap(Effect.promise(() => import("./inspect.ts")), ({ inspect }) => inspect(given))).pipe(
  Command.withDescription("Show tables by level, keys, sizes, logs, what is lost, and read and space amplification"),
  Command.withExamples([
    { command: "rondo storage inspect data/node1", description: "What a stopped node has on its disk" },
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
    { command: "rondo storage verify /backup/node1", description: "Whether a backup can still be restored" }
  ])
)

const dump = Command.make("dump", {
  directories: Argument.String("directory").pipe(
    Argument.withDescription("Data directories of stopped nodes, or snapshots: of several, the newest of each key"),
    Argument.atLeast(1)
  ),
  prefix: Flag.String("prefix").pipe(Flag.withDescription("Keys that begin with it"), Flag.withDefault("")),
  from: text("from", "The first key"),
  to: text("to", "The end, which is left out"),
  reverse: choice("reverse", "From the last key to the first"),
  limit: Flag.Int("limit").pipe(
    Flag.withDescription("No more than so many"),
    Flag.filter((value) => value >= 0, () => "must be 0 or more"),
    Flag.optional
  ),
  table: Flag.Int("table").pipe(
    Flag.withDescription("Only what the table of this number holds, which may be obsolete"),
    Flag.optional
  ),
  cells: choice("cells", "Print cells with their versions, as tables hold them, instead of records"),
  tombstones: choice("tombstones", "With --cells: the deleted ones too"),
  skipDamage: choice("skip-damage", "Pass over what is damaged"),
  quiet
}, (given) => Effect.flatMap(Effect.promise(() => import("./dump.ts")), ({ dump }) => dump(given))).pipe(
  Command.withDescription("Write what is stored as lines of JSON, in key order, as rondo import takes them"),
  Command.withExamples([
    { command: "rondo storage dump data/node1 --prefix users/ | jq -r .key", description: "Look at some keys" },
    {
      command: "rondo storage dump backup/node1 backup/node2 backup/node3 | rondo import - --url new-cluster:8081",
      description: "Move a whole cluster's snapshots into another cluster, of any size"
    },
    { command: "rondo storage dump data/node1 --table 17 --cells --tombstones", description: "One file as it is" }
  ])
)

const compact = Command.make(
  "compact",
  { directory, json, quiet },
  (given) => Effect.flatMap(Effect.promise(() => import("./compact.ts")), ({ compact }) => compact(given))
).pipe(
  Command.withDescription("Rewrite the store of a stopped node without obsolete cells"),
  Command.withExamples([{ command: "rondo storage compact data/node1", description: "Give the space back now" }])
)

const snapshot = Command.make("snapshot", {
  names: Argument.String("name").pipe(
    Argument.withDescription("With --node the snapshot's name; else a stopped node's directory and a new one"),
    Argument.between(0, 2)
  ),
  node: text("node", "Running nodes, separated by commas; needs CLUSTER_SECRET"),
  list: choice("list", "With --node: list the snapshots that the nodes keep"),
  remove: choice("remove", "With --node: remove the snapshot of this name"),
  json
}, (given) => Effect.flatMap(Effect.promise(() => import("./snapshot.ts")), ({ snapshot }) => snapshot(given))).pipe(
  Command.withDescription("Keep a durable copy of what nodes store at this moment, while they go on"),
  Command.withExamples([
    {
      command: "rondo storage snapshot --node localhost:8081,localhost:8082,localhost:8083 monday",
      description: "One of each node, in DATA_DIR/snapshots/monday"
    },
    { command: "rondo storage snapshot --node localhost:8081 --list", description: "Which there are" },
    { command: "rondo storage snapshot data/node1 /backup/node1", description: "Of a node that is stopped" }
  ])
)

const restore = Command.make("restore", {
  snapshot: Argument.String("snapshot").pipe(Argument.withDescription("Directory of the snapshot")),
  directory: Argument.String("directory").pipe(Argument.withDescription("Data directory, new or empty")),
  allowDamage: choice("allow-damage", "Restore what is left of a damaged one: other replicas have the rest"),
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
  yes: choice("yes", "Do it"),
  json
}, (given) =>
  Effect.flatMap(
    Effect.promise(() => import("./forgetLost.ts")),
    ({ forgetLost }) => forgetLost(given)
  )).pipe(
    Command.withDescription("Give up what damage has taken from a store and no replica can give back"),
    Command.withExamples([{ command: "rondo storage forget-lost data/node1", description: "Say what that would be" }])
  )

export const storage = Command.make("storage").pipe(
  Command.withDescription("Look at a node's files, verify them, take snapshots and restore them"),
  Command.withSubcommands([inspect, verify, dump, compact, snapshot, restore, forgetLost])
)
