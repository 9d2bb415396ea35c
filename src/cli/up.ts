/**
 * `rondo up`: a whole cluster on this machine, one operating-system process per node, with the output of each. It does
 * not restart a node that dies, so that one can watch the cluster without it, but prints the command that does. The
 * children stop when their standard input, a pipe from here, closes, so none is left behind however this process ends.
 */
import { Deferred, Duration, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as environment from "../config/environment.ts"
import { failed } from "./CommandFailed.ts"
import * as flags from "./flags.ts"
import { Http } from "./Http.ts"
import * as LocalCluster from "./LocalCluster.ts"
import { type Child, NodeProcess } from "./NodeProcess.ts"
import { Output } from "./Output.ts"

const nodesMax = 64
/** How long a child may take to shut down before it is killed. */
const stopTimeout = Duration.seconds(5)
const readyPollInterval = Duration.millis(100)
const readyAnswerTimeout = Duration.seconds(2)

/** The command that runs a node: interpreter, arguments, and how a person would type it. */
export interface Launcher {
  readonly command: string
  readonly arguments: ReadonlyArray<string>
  readonly program: string
}

interface Running {
  readonly node: LocalCluster.PlannedNode
  readonly child: Child
}

const stop = ({ child }: Running) =>
  Effect.gen(function*() {
    yield* child.signal("SIGTERM")
    if (Option.isSome(yield* Effect.timeoutOption(child.ended, stopTimeout))) return
    yield* child.signal("SIGKILL")
    yield* child.ended
  })

const start = Effect.fnUntraced(
  function*(plan: LocalCluster.Plan, launcher: Launcher, environment: LocalCluster.Options["environment"]) {
    const processes = yield* NodeProcess
    const output = yield* Output
    const running: Array<Running> = []
    yield* Effect.addFinalizer(() => Effect.forEach(running, stop, { concurrency: "unbounded", discard: true }))
    for (const node of plan.nodes) {
      const prefix = LocalCluster.prefix(plan, node, output.resultIsTerminal)
      // Interrupted between the start and the push, a child would be left behind.
      yield* Effect.uninterruptible(Effect.gen(function*() {
        const child = yield* processes.spawn({
          command: launcher.command,
          arguments: [...launcher.arguments, "serve", "--exit-with-parent", "--node-addr", node.address],
          environment: LocalCluster.environmentOf(node, environment),
          onLine: (line) => Effect.runFork(output.result(`${prefix}${line}\n`))
        })
        running.push({ node, child })
      }))
    }
    return running as ReadonlyArray<Running>
  }
)

const isReady = Effect.fnUntraced(function*(node: LocalCluster.PlannedNode) {
  const http = yield* Http
  const answer = yield* http.send({ origin: `http://${node.address}`, method: "GET", path: "/readyz" }).pipe(
    Effect.timeout(readyAnswerTimeout),
    Effect.option
  )
  return Option.isSome(answer) && answer.value.status === 200
})

/** Waits until every node is ready or dead, and says which are ready. */
const waitReady = Effect.fnUntraced(function*(running: ReadonlyArray<Running>) {
  const ready = new Set<string>()
  yield* Effect.forEach(running, ({ child, node }) => {
    const poll = Effect.gen(function*() {
      while (!(yield* isReady(node))) yield* Effect.sleep(readyPollInterval)
      ready.add(node.id)
    })
    return Effect.raceFirst(poll, child.ended)
  }, { concurrency: "unbounded", discard: true })
  return ready
})

export const run = (options: LocalCluster.Options, launcher: Launcher) =>
  Effect.scoped(Effect.gen(function*() {
    const processes = yield* NodeProcess
    const output = yield* Output
    const plan = LocalCluster.plan(options)
    const free = yield* Effect.forEach(plan.nodes, ({ port }) => processes.portIsFree(port))
    const taken = plan.nodes.filter((_, index) => !free[index]).map(({ port }) => port)
    if (taken.length > 0) return yield* failed(LocalCluster.portsTakenMessage(taken, options))
    const running = yield* start(plan, launcher, options.environment)
    const allGone = yield* Deferred.make<void>()
    let left = running.length
    yield* Effect.forEach(running, ({ child, node }) =>
      Effect.gen(function*() {
        const ending = yield* child.ended
        left--
        yield* output.result(LocalCluster.deathMessage(plan, node, ending, left))
        if (left === 0) yield* Deferred.succeed(allGone, undefined)
      }), { concurrency: "unbounded", discard: true }).pipe(Effect.forkScoped)
    const ready = yield* waitReady(running)
    if (ready.size > 0) {
      const pids = new Map(running.map(({ child, node }) => [node.id, child.pid]))
      yield* output.result(LocalCluster.startMessage(plan, pids, ready))
    }
    yield* Deferred.await(allGone)
    return yield* failed("all nodes have stopped: their last lines say why")
  }))

export const up = (launcher: Launcher) =>
  Command.make("up", {
    nodes: flags.integer("nodes", "Nodes to start", 3, { minimum: 1, maximum: nodesMax }),
    basePort: flags.integer("base-port", "Port of the first node; the others follow", 8081, {
      minimum: 1,
      maximum: 65535 - nodesMax
    }),
    data: Flag.String("data").pipe(
      Flag.withDescription("Directory for the data, with a subdirectory for each node (default ./data)"),
      Flag.withDefault("./data")
    )
  }, ({ basePort, data: dataDirectory, nodes }) =>
    Effect.flatMap(environment.whole, (environment) => {
      const currentDirectory = process.cwd()
      return run({ nodes, basePort, dataDirectory, program: launcher.program, currentDirectory, environment }, launcher)
    })).pipe(
      Command.withDescription("Run a cluster on this machine, one process per node, until Ctrl-C"),
      Command.withExamples([
        { command: "rondo up", description: "Three nodes at ports 8081 to 8083, data in ./data" },
        { command: "rondo up --nodes 5 --base-port 9001 --data /tmp/rondo", description: "Five nodes elsewhere" }
      ])
    )
