/** Runs the command line in a test: what it wrote, and its failure if there was one. */
import { NodeServices } from "@effect/platform-node"
import { ConfigProvider, Effect, Exit, Layer, Stdio, Stream } from "effect"
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
  const launcher = { command: "node", arguments: [], program: "bin/rondo" }
  const stdin = Stream.make(Buffer.from(surroundings.stdin ?? ""))
  const exit = yield* rondo(surroundings.node ?? Layer.empty, launcher, "1.2.3").pipe(
    Effect.provide(Layer.mergeAll(
      surroundings.http,
      surroundings.processes ?? NodeProcess.layer,
      Output.layerMemory(written, surroundings.isTerminal),
      // Merged last, so that it hides the real arguments and standard input.
      Layer.merge(NodeServices.layer, Stdio.layerTest({ args: Effect.succeed(parameters), stdin })),
      ConfigProvider.layer(ConfigProvider.fromEnvRecord(surroundings.environment ?? {}))
    )),
    Effect.exit
  )
  return { ...written, succeeded: Exit.isSuccess(exit), exit }
})
