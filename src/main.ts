/**
 * Entry: runs the command line, and gives `serve` a node with its real leaves: disk, network, clock and randomness.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Cause, Effect, Exit, Layer, Runtime } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { layer, rondo } from "./cli/rondo.ts"

const root = new URL("..", import.meta.url)
const { version } = JSON.parse(readFileSync(new URL("package.json", root), "utf8")) as { readonly version: string }

/** The one place that gives the node its leaves. Imported when it is needed, since `rondo get` needs no node. */
const node = Layer.unwrap(Effect.promise(async () => {
  const [{ createServer }, Node, HttpServer, Logging, DiskNode, PeerClientHttp] = await Promise.all([
    import("node:http"),
    import("./Node.ts"),
    import("./server/HttpServer.ts"),
    import("./observability/Logging.ts"),
    import("./disk/DiskNode.ts"),
    import("./peer/PeerClientHttp.ts")
  ])
  return HttpServer.layer(createServer).pipe(
    Layer.provideMerge(Node.layer),
    Layer.provide([DiskNode.layer, PeerClientHttp.layer, Logging.layer])
  )
}))

const isService = process.argv[2] === "serve" || process.argv[2] === "up"

/** A service that is interrupted ended well; any other command was cut short. */
const teardown: Runtime.Teardown = (exit, onExit) =>
  Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) && isService
    ? onExit(0)
    : Runtime.defaultTeardown(exit, onExit)

rondo(node, {
  command: process.execPath,
  arguments: [...process.execArgv, fileURLToPath(import.meta.url)],
  program: fileURLToPath(new URL("bin/rondo", root))
}, version).pipe(
  Effect.provide(Layer.merge(layer, NodeServices.layer)),
  NodeRuntime.runMain({ teardown })
)
