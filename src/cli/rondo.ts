/** The whole command line. `main.ts` passes in the node that `serve` runs, so nothing here depends on it. */
import { Layer } from "effect"
import { CliConfig, Command, GlobalFlag } from "effect/cli"
import type { ClusterConfig } from "../config/ClusterConfig.ts"
import type { NodeConfig } from "../config/NodeConfig.ts"
import { bench } from "./bench.ts"
import { report } from "./CommandFailed.ts"
import { exportRecords } from "./export.ts"
import { Http } from "./Http.ts"
import { importRecords } from "./import.ts"
import { get, put, remove } from "./keys.ts"
import { NodeProcess } from "./NodeProcess.ts"
import { Output } from "./Output.ts"
import { serve } from "./serve.ts"
import { status } from "./status.ts"
import { storage } from "./storage/storage.ts"
import { type Launcher, up } from "./up.ts"

/** Runs the command that the arguments of `Stdio` name, and prints its failure. */
export const rondo = <A, E>(
  node: Layer.Layer<A, E, NodeConfig | ClusterConfig>,
  launcher: Launcher,
  version: string
) =>
  Command.make("rondo").pipe(
    Command.withDescription("A replicated key-value store whose nodes are all equal"),
    Command.withSubcommands([
      up(launcher),
      serve(node),
      put,
      get,
      remove,
      status,
      importRecords,
      exportRecords,
      storage,
      bench
    ]),
    Command.run({ version }),
    report
  )

/** The outside of all commands. `--log-level` is left to `serve`, where it stands for `LOG_LEVEL`. */
export const layer = Layer.mergeAll(
  Http.layer,
  Output.layer,
  NodeProcess.layer,
  CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] })
)
