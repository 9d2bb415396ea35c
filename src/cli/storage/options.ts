/** Arguments and flags of the commands of `rondo storage`. */
import { Argument, type Command, Flag } from "effect/cli"
import { json, onOff, optionalInteger, quiet, text } from "../flags.ts"

/** The parsed form, such as `Given<typeof dump>`. */
export type Given<Options extends Command.Command.Config> = Command.Command.Config.Infer<Options>

const directory = Argument.String("directory").pipe(
  Argument.withDescription("Data directory of a node that is stopped, or a snapshot")
)

export const inspect = {
  directory,
  tables: onOff("tables", "List every table instead of one line per level"),
  full: onOff("full", "Read everything, to measure space amplification"),
  json,
  quiet
}

export const verify = { directory, json, quiet }
export const compact = verify

export const dump = {
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
  skipDamage: onOff("skip-damage", "Skip damaged parts"),
  quiet
}

export const snapshot = {
  names: Argument.String("name").pipe(
    Argument.withDescription(
      "With --node: the snapshot's name. Without: a stopped node's directory, and a new directory to write"
    ),
    Argument.between(0, 2)
  ),
  node: text("node", "Running nodes to ask, separated by commas; needs CLUSTER_SECRET if the cluster has one"),
  list: onOff("list", "With --node: list the snapshots that the nodes keep"),
  remove: onOff("remove", "With --node: remove the snapshot with this name"),
  json
}

export const restore = {
  snapshot: Argument.String("snapshot").pipe(Argument.withDescription("Directory of the snapshot")),
  directory: Argument.String("directory").pipe(Argument.withDescription("Data directory, new or empty")),
  allowDamage: onOff("allow-damage", "Restore a damaged snapshot as far as possible; other replicas have the rest"),
  json,
  quiet
}

export const forgetLost = {
  directory,
  yes: onOff("yes", "Confirm"),
  json
}
