import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createServer } from "node:net"
import { NodeProcess } from "../../src/cli/NodeProcess.ts"

/** Runs a script in a process of its own; returns it with the lines that it writes. */
const script = (code: string) =>
  Effect.gen(function*() {
    const { spawn } = yield* NodeProcess
    const lines: Array<string> = []
    const child = yield* spawn({
      command: process.execPath,
      arguments: ["-e", code],
      environment: { ...process.env, GREETING: "hello" },
      onLine: (line, source) => lines.push(`${source}: ${line}`)
    })
    return { child, lines }
  })

describe("NodeProcess", () => {
  it.effect("gives whole lines of both outputs, the last one too, and the exit code", () =>
    Effect.gen(function*() {
      const { child, lines } = yield* script(
        `process.stdout.write(process.env.GREETING + "\\nwor"); process.stdout.write("ld"); console.error("é"); process.exitCode = 3`
      )
      assert.deepStrictEqual(yield* child.ended, { code: 3, signal: undefined })
      assert.deepStrictEqual(lines.toSorted(), ["stderr: é", "stdout: hello", "stdout: world"])
      // Asked again, it answers the same.
      assert.deepStrictEqual(yield* child.ended, { code: 3, signal: undefined })
    }).pipe(Effect.provide(NodeProcess.layer)))

  it.effect("tells which signal ended the process", () =>
    Effect.gen(function*() {
      const { child } = yield* script("setInterval(() => {}, 1000)")
      yield* child.signal("SIGKILL")
      assert.deepStrictEqual(yield* child.ended, { code: undefined, signal: "SIGKILL" })
    }).pipe(Effect.provide(NodeProcess.layer)))

  it.effect("fails when there is no such program", () =>
    Effect.gen(function*() {
      const { spawn } = yield* NodeProcess
      const failed = yield* Effect.flip(
        spawn({ command: "/nowhere/node", arguments: [], environment: {}, onLine: () => {} })
      )
      assert.include(failed.message, "cannot start a process: spawn /nowhere/node ENOENT")
    }).pipe(Effect.provide(NodeProcess.layer)))

  it.effect("a child whose parent was killed notices by its standard input", () =>
    Effect.gen(function*() {
      const module = JSON.stringify(new URL("../../src/cli/NodeProcess.ts", import.meta.url).href)
      const childCode = `import(${module}).then(async ({ parentGone }) => {
        const { Effect } = await import("effect")
        console.log("waiting")
        await Effect.runPromise(parentGone)
        require("node:fs").writeSync(3, "gone")
      })`
      const parentCode = `const child = require("node:child_process").spawn(process.execPath, ["-e", ${
        JSON.stringify(childCode)
      }], { stdio: ["pipe", "pipe", "inherit", 2] })
        child.stdout.once("data", () => process.kill(process.pid, "SIGKILL"))`
      const { child, lines } = yield* script(parentCode)
      // The grandchild holds standard error open, so the parent's output ends when both are gone.
      assert.strictEqual((yield* child.ended).signal, "SIGKILL")
      while (!lines.includes("stderr: gone")) {
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
    }).pipe(Effect.provide(NodeProcess.layer)))

  it.effect("knows which ports are free", () =>
    Effect.gen(function*() {
      const { portIsFree } = yield* NodeProcess
      const server = createServer()
      const port = yield* Effect.callback<number>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as { port: number }).port)))
      })
      assert.isFalse(yield* portIsFree(port))
      yield* Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
      })
      assert.isTrue(yield* portIsFree(port))
    }).pipe(Effect.provide(NodeProcess.layer)))
})
