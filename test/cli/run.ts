/** Runs the command line in a test: what it wrote, and its failure if there was one. */
import { NodeServices } from "@effect/platform-node"
import { ConfigProvider, Effect, Exit, Layer, Stdio, Stream } from "effect"
import { Command } from "effect/cli"
import { type Http } from "../../src/cli/Http.ts"
import { NodeProcess } from "../../src/cli/NodeProcess.ts"
import { Output } from "../../src/cli/Output.ts"
import { rondo } from "../../src/cli/rondo.ts"
import type { ClusterConfig } from "../../src/config/ClusterConfig.ts"
import type { NodeConfig } from "../../src/config/NodeConfig.ts"

export interface Surroundings {
  readonly http: Layer.Layer<Http>
  readonly node?: Layer.Layer<never, Error, NodeConfig | ClusterConfig>
  readonly processes?: Layer.Layer<NodeProcess>
  readonly stdin?: string
  readonly environment?: Record<string, string>
  readonly isTerminal?: boolean
}

export const run = Effect.fnUntraced(function*(parameters: ReadonlyArray<string>, surroundings: Surroundings) {
  const written = { result: "", notice: "" }
  const command = rondo(surroundings.node ?? Layer.empty, { command: "node", arguments: [], program: "bin/rondo" })
  const exit = yield* Command.runWith(command, { version: "1.2.3" })(parameters).pipe(
    Effect.provide(Layer.mergeAll(
      surroundings.http,
      surroundings.processes ?? NodeProcess.layer,
      Output.layerMemory(written, surroundings.isTerminal),
      // Merged last, so that it stands in front of the real standard input.
      Layer.merge(NodeServices.layer, Stdio.layerTest({ stdin: Stream.make(Buffer.from(surroundings.stdin ?? "")) })),
      ConfigProvider.layer(ConfigProvider.fromEnvRecord(surroundings.environment ?? {}))
    )),
    Effect.exit
  )
  return { ...written, succeeded: Exit.isSuccess(exit), exit }
})
