import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import type { Options } from "../../src/cli/LocalCluster.ts"
import { type Ending, NodeProcess, type Spawn } from "../../src/cli/NodeProcess.ts"
import { Output } from "../../src/cli/Output.ts"
import { run } from "../../src/cli/up.ts"
import * as FakeHttp from "./FakeHttp.ts"

const options: Options = {
  nodes: 3,
  basePort: 8081,
  dataDirectory: "./data",
  program: "/rondo/bin/rondo",
  currentDirectory: "/rondo",
  environment: { FSYNC: "never" }
}

/** Processes that do what the test tells them, and a network on which the nodes in `ready` are. */
const machine = (taken: ReadonlyArray<number> = [], obeys = true) => {
  const spawned: Array<Spawn> = []
  const signals: Array<string> = []
  const endings = [1, 2, 3].map(() => Deferred.makeUnsafe<Ending>())
  const ready = new Set<string>()
  const written = { result: "", notice: "" }
  const end = (index: number, ending: Ending) => Deferred.succeed(endings[index]!, ending)
  const layer = Layer.mergeAll(
    FakeHttp.layer(({ origin }) => ready.has(origin.slice(-1)) ? FakeHttp.answer(200) : FakeHttp.unreachable(origin)),
    Output.layerMemory(written),
    Layer.succeed(NodeProcess, {
      portIsFree: (port) => Effect.succeed(!taken.includes(port)),
      spawn: (spawn) =>
        Effect.sync(() => {
          const index = spawned.push(spawn) - 1
          return {
            pid: 100 + index,
            ended: Deferred.await(endings[index]!),
            signal: (name) => {
              signals.push(`${name} ${index + 1}`)
              return obeys || name === "SIGKILL" ? end(index, { code: undefined, signal: name }) : Effect.void
            }
          }
        })
    })
  )
  const launcher = { command: "node", arguments: ["main.ts"], program: "/rondo/bin/rondo" }
  /** Completes once every process is there. */
  const start = Effect.tap(
    Effect.forkChild(run(options, launcher).pipe(Effect.provide(layer))),
    TestClock.adjust("1 second")
  )
  return { spawned, signals, ready, written, end, start }
}

describe("up", () => {
  it.effect("starts no node when a port is taken, and says which", () =>
    Effect.gen(function*() {
      const { spawned, start } = machine([8082])
      const failed = yield* Effect.flip(Fiber.join(yield* start))
      assert.include(failed.message, "port 8082 on this machine is in use")
      assert.strictEqual(spawned.length, 0)
    }))

  it.effect("starts each node with its settings and greets when all are ready, not before", () =>
    Effect.gen(function*() {
      const { ready, spawned, start, written } = machine()
      yield* start
      assert.deepStrictEqual(spawned.map(({ environment }) => environment["NODE_ID"]), ["node1", "node2", "node3"])
      assert.deepStrictEqual(spawned[0]!.arguments, [
        "main.ts",
        "serve",
        "--exit-with-parent",
        "--node-addr",
        "127.0.0.1:" + String(spawned[0]!.environment["NODE_ADDR"]).split(":")[1]
      ])
      assert.strictEqual(spawned[2]!.environment["FSYNC"], "never")
      ready.add("1").add("2")
      yield* TestClock.adjust("10 seconds")
      assert.notInclude(written.result, "Rondo is up")
      ready.add("3")
      yield* TestClock.adjust("1 second")
      assert.include(written.result, "Rondo is up: 3 nodes on this machine.")
      assert.include(written.result, "process 102")
    }))

  it.effect("marks each line with the node that wrote it", () =>
    Effect.gen(function*() {
      const { spawned, start, written } = machine()
      yield* start
      spawned[1]!.onLine("hello", "stdout")
      spawned[0]!.onLine("trouble", "stderr")
      assert.strictEqual(written.result, "node2 | hello\nnode1 | trouble\n")
    }))

  it.effect("greets without the nodes that die while they start", () =>
    Effect.gen(function*() {
      const { end, ready, start, written } = machine()
      yield* start
      ready.add("1").add("3")
      yield* end(1, { code: 1, signal: undefined })
      yield* TestClock.adjust("1 second")
      assert.include(written.result, "node2 ended with exit code 1")
      assert.include(written.result, "Rondo is up: 2 nodes")
    }))

  it.effect("tells how a node died and how to bring it back, and keeps running", () =>
    Effect.gen(function*() {
      const { end, ready, signals, start, written } = machine()
      const fiber = yield* start
      ready.add("1").add("2").add("3")
      yield* TestClock.adjust("1 second")
      yield* end(1, { code: undefined, signal: "SIGKILL" })
      yield* TestClock.adjust("1 minute")
      assert.include(written.result, "node2 was killed by SIGKILL. 2 of 3 nodes still running.")
      assert.match(written.result, /\n {2}cd \/rondo && NODE_ID=node2 .* DATA_DIR=data\/node2 bin\/rondo serve\n/)
      assert.isUndefined(fiber.pollUnsafe())
      assert.deepStrictEqual(signals, [])
    }))

  it.effect("fails when the last node is gone", () =>
    Effect.gen(function*() {
      const { end, start, written } = machine()
      const fiber = yield* start
      for (const index of [0, 1, 2]) yield* end(index, { code: 1, signal: undefined })
      assert.include((yield* Effect.flip(Fiber.join(fiber))).message, "all nodes have stopped")
      assert.include(written.result, "node3 ended with exit code 1. No node is running.")
      assert.notInclude(written.result, "Rondo is up")
    }))

  it.effect("stops all nodes when it is stopped, and reports none of them as dead", () =>
    Effect.gen(function*() {
      const { signals, start, written } = machine()
      const fiber = yield* start
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(signals.toSorted(), ["SIGTERM 1", "SIGTERM 2", "SIGTERM 3"])
      assert.strictEqual(written.result, "")
    }))

  it.effect("kills a node that does not stop within five seconds", () =>
    Effect.gen(function*() {
      const { signals, start } = machine([], false)
      const fiber = yield* start
      const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual(signals.filter((signal) => signal.startsWith("SIGKILL")).length, 0)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(stopping)
      assert.strictEqual(signals.filter((signal) => signal.startsWith("SIGKILL")).length, 3)
    }))
})
