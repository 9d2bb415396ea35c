/** Leaf: operating-system processes, ports, and the pipe by which a child notices that its parent is gone. */
import { Context, Effect, Layer } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { createServer } from "node:net"
import { type CommandFailed, failed } from "./CommandFailed.ts"
import { type Line, LineSplitter } from "./lines.ts"

export interface Ending {
  readonly code: number | undefined
  readonly signal: string | undefined
}

export interface Child {
  readonly pid: number
  readonly ended: Effect.Effect<Ending>
  readonly signal: (name: "SIGTERM" | "SIGKILL") => Effect.Effect<void>
}

export interface Spawn {
  readonly command: string
  readonly arguments: ReadonlyArray<string>
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Called with each line of the child's output, without its line feed. */
  readonly onLine: (line: string, source: "stdout" | "stderr") => void
}

export class NodeProcess extends Context.Service<NodeProcess, {
  /** Whether `port` of this machine is free now. */
  readonly portIsFree: (port: number) => Effect.Effect<boolean>
  /** The child's standard input is a pipe that closes when this process ends, however it ends. */
  readonly spawn: (options: Spawn) => Effect.Effect<Child, CommandFailed>
}>()("rondo/cli/NodeProcess") {
  static readonly layer = Layer.succeed(NodeProcess, {
    portIsFree: (port) =>
      Effect.callback((resume) => {
        const server = createServer()
        server.once("error", () => resume(Effect.succeed(false)))
        server.listen(port, "127.0.0.1", () => server.close(() => resume(Effect.succeed(true))))
      }),
    spawn: (options) =>
      Effect.callback((resume) => {
        const child = spawn(options.command, options.arguments, {
          env: options.environment,
          stdio: ["pipe", "pipe", "pipe"]
        })
        child.once("error", (error) => resume(Effect.fail(failed(`cannot start a process: ${error.message}`))))
        child.once("spawn", () => resume(Effect.succeed(makeChild(child))))
        eachLine(child, "stdout", options.onLine)
        eachLine(child, "stderr", options.onLine)
      })
  })
}

const makeChild = (child: ChildProcess): Child => ({
  pid: child.pid!,
  // `close` rather than `exit`: the last lines of output have arrived by then.
  ended: Effect.callback((resume) => {
    const finish = () =>
      resume(Effect.succeed({ code: child.exitCode ?? undefined, signal: child.signalCode ?? undefined }))
    if (child.exitCode !== null || child.signalCode !== null) finish()
    else child.once("close", finish)
    return Effect.sync(() => child.removeListener("close", finish))
  }),
  signal: (name) =>
    Effect.sync(() => {
      child.kill(name)
    })
})

const eachLine = (child: ChildProcess, source: "stdout" | "stderr", onLine: Spawn["onLine"]) => {
  const splitter = new LineSplitter()
  const tell = (lines: ReadonlyArray<Line>) => lines.forEach(({ text }) => onLine(text ?? "", source))
  child[source]!.on("data", (bytes: Uint8Array) => tell(splitter.push(bytes)))
  child[source]!.on("end", () => tell(splitter.end()))
}

/** Ends when the process that holds the other end of standard input is gone. */
export const parentGone: Effect.Effect<void> = Effect.callback((resume) => {
  // The reader of the output is gone too. Writing to it must not end the process before it has closed its files.
  process.stdout.on("error", () => {})
  process.stderr.on("error", () => {})
  process.stdin.once("error", () => resume(Effect.void))
  process.stdin.once("close", () => resume(Effect.void))
  process.stdin.once("end", () => resume(Effect.void))
  process.stdin.resume()
})
