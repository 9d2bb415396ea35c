/**
 * A cluster of real `bin/rondo serve` processes in a temporary folder: tests start and kill its nodes, write, read, and
 * wait for events. No test depends on how fast the machine is.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { fileURLToPath } from "node:url"

export const rondo = fileURLToPath(new URL("../../bin/rondo", import.meta.url))

/** Ends what hangs: far longer than any machine takes. */
const patienceMillis = 10 * 60_000

/**
 * Every process of a test has these. Nodes wait far longer for each other than in production, so that a busy machine is
 * not taken for a failure; a process that was killed refuses connections at once, so nothing waits for that.
 */
const environmentOfAll = {
  CLUSTER_SECRET: "secret of the integration tests",
  REPLICA_TIMEOUT: "2 minutes",
  REQUEST_TIMEOUT: "4 minutes",
  GOSSIP_INTERVAL: "10 seconds"
}

/** Resolves once `condition` holds; when it never does, fails with `what` and the last reason. */
export const eventually = async (
  what: string,
  condition: () => Promise<boolean | string> | boolean | string
): Promise<void> => {
  const untilMillis = performance.now() + patienceMillis
  for (;;) {
    const last = await condition()
    if (last === true) return
    if (performance.now() > untilMillis) throw new Error(`not in ten minutes: ${what} (${last})`)
    await delay(25)
  }
}

/** `fetch`, again after a 408: a busy machine was too slow to bring the request to the node. */
export const send = async (url: string, request: RequestInit = {}): Promise<Response> => {
  for (;;) {
    const answer = await fetch(url, request)
    if (answer.status !== 408) return answer
    await answer.text()
  }
}

/** The text of the answer, or why there is none. */
export const textOf = (url: string): Promise<string> => send(url).then((answer) => answer.text(), String)

const isFree = async (port: number): Promise<boolean> => {
  const server = createServer().listen(port, "127.0.0.1")
  const isBound = await Promise.race([
    once(server, "listening").then(() => true),
    once(server, "error").then(() => false)
  ])
  server.close()
  return isBound
}

/**
 * The first of `count` free ports in a row, below those that the system gives to outgoing connections: one of these
 * could take the port of a node while it is down.
 */
export const freePorts = async (count: number): Promise<number> => {
  for (let first = 20_000 + (process.pid * 16) % 10_000; first < 32_000; first += count) {
    const free = await Promise.all(Array.from({ length: count }, (_, index) => isFree(first + index)))
    if (free.every(Boolean)) return first
  }
  throw new Error("no free ports")
}

/** A process with an open standard input, and everything that it prints. */
export class Process {
  readonly child: ChildProcess
  private readonly closed: Promise<unknown>
  output = ""

  constructor(
    parameters: ReadonlyArray<string>,
    environment: Readonly<Record<string, string>>,
    directory: string,
    program = rondo
  ) {
    this.child = spawn(program, parameters, {
      cwd: directory,
      env: { ...process.env, ...environmentOfAll, ...environment },
      stdio: ["pipe", "pipe", "pipe"]
    })
    this.closed = once(this.child, "close")
    // A process that ends early reads no more; the test sees that by its exit.
    this.child.stdin!.on("error", () => {})
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.output += text
      })
    }
  }

  /** A line as one types it; the shell gives way to its last command, so that signals reach that. */
  static ofShell(line: string, directory: string): Process {
    return new Process(["-c", line.replace(/^(cd .* && )/, "$1exec env ")], {}, directory, "sh")
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }

  /** The exit code, once all output has arrived; `null` after a signal. */
  async end(): Promise<number | null> {
    await this.closed
    return this.child.exitCode
  }

  async kill(signal: NodeJS.Signals): Promise<number | null> {
    if (!this.hasEnded) this.child.kill(signal)
    return this.end()
  }
}

export class Cluster {
  readonly directory = Cluster.temporaryDirectory()
  readonly ports: ReadonlyArray<number>
  private readonly processes: Array<Process | undefined>

  private constructor(ports: ReadonlyArray<number>) {
    this.ports = ports
    this.processes = ports.map(() => undefined)
  }

  static temporaryDirectory(): string {
    return mkdtempSync(join(tmpdir(), "rondo-integration-"))
  }

  /** Three nodes that know and trust each other. */
  static async start(environment: Readonly<Record<string, string>> = {}): Promise<Cluster> {
    const first = await freePorts(3)
    const cluster = new Cluster([first, first + 1, first + 2])
    cluster.startAll(environment)
    await cluster.allHealthy()
    return cluster
  }

  url(node: number): string {
    return `http://127.0.0.1:${this.ports[node]}`
  }

  keyUrl(node: number, key: string, query = ""): string {
    return `${this.url(node)}/kv/${encodeURIComponent(key)}${query}`
  }

  startAll(environment: Readonly<Record<string, string>> = {}): void {
    for (const node of this.ports.keys()) this.startNode(node, environment)
  }

  startNode(node: number, environment: Readonly<Record<string, string>> = {}): void {
    this.processes[node] = new Process(["serve"], {
      NODE_ID: `node${node + 1}`,
      NODE_ADDR: `127.0.0.1:${this.ports[node]}`,
      PEERS: this.ports.map((port) => `127.0.0.1:${port}`).join(","),
      DATA_DIR: join(this.directory, `node${node + 1}`),
      ...environment
    }, this.directory)
  }

  kill(node: number, signal: NodeJS.Signals = "SIGKILL"): Promise<number | null> {
    return this.processes[node]!.kill(signal)
  }

  /** Waits until the node takes itself and the two others for up. */
  healthy(node: number): Promise<void> {
    return eventually(`node${node + 1} is healthy`, async () => {
      const { child, hasEnded, output } = this.processes[node]!
      if (hasEnded) throw new Error(`node${node + 1} ended with ${child.exitCode ?? child.signalCode}: ${output}`)
      const health = await textOf(`${this.url(node)}/healthz`)
      return health.includes(`"status":"healthy"`) || health
    })
  }

  async allHealthy(): Promise<void> {
    for (const node of this.ports.keys()) await this.healthy(node)
  }

  /** The keys, of those in `expected`, that this node alone does not answer as expected. */
  async differing(node: number, expected: ReadonlyMap<string, string>, query: string): Promise<ReadonlyArray<string>> {
    const wrong: Array<string> = []
    const entries = expected.entries()
    const reader = async () => {
      for (const [key, value] of entries) {
        const answer = await send(this.keyUrl(node, key, query)).catch(() => undefined)
        if (await answer?.text() !== value || answer?.status !== 200) wrong.push(key)
      }
    }
    await Promise.all(Array.from({ length: 32 }, reader))
    return wrong
  }

  /** Waits until this node alone answers every key as expected. */
  holds(node: number, expected: ReadonlyMap<string, string>): Promise<void> {
    return eventually(`node${node + 1} holds ${expected.size} keys`, async () => {
      const wrong = await this.differing(node, expected, "?r=one")
      return wrong.length === 0 || `${wrong.length} differ, such as ${wrong[0]}`
    })
  }

  /** Kills what still runs and removes the data. */
  async stop(): Promise<void> {
    await Promise.all(this.processes.map((running) => running?.kill("SIGKILL")))
    rmSync(this.directory, { recursive: true, force: true })
  }
}
