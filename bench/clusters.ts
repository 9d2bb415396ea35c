/** The clusters to compare: three processes each, on free ports of the loopback interface. */
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as metricsPage from "./metricsPage.ts"

/** `against`: another checkout of Rondo. */
export type ClusterName = "bare" | "against" | "rondo"

export interface Cluster {
  readonly name: ClusterName
  readonly ports: ReadonlyArray<number>
  readonly processIds: ReadonlyArray<number>
  /** Where the nodes keep their data; `undefined` if they keep it in memory. */
  readonly directory: string | undefined
  /** Messages between nodes so far, and the operations in them; `undefined` if the cluster does not report them. */
  readonly batches: () => Promise<{ readonly batches: number; readonly items: number } | undefined>
  /** Each node's metrics; empty for the bare cluster. */
  readonly metricsPages: () => Promise<ReadonlyArray<string>>
  readonly stop: () => Promise<void>
}

const nodes = 3
const readyMillisMax = 60_000

/** This checkout. */
const here = fileURLToPath(new URL("..", import.meta.url))

/** All are open at the same time, so that the system does not hand out a port twice. */
const freePorts = async (): Promise<ReadonlyArray<number>> => {
  const servers = await Promise.all(
    Array.from({ length: nodes }, () =>
      new Promise<ReturnType<typeof createServer>>((resolve) => {
        const server = createServer()
        server.listen(0, "127.0.0.1", () => resolve(server))
      }))
  )
  const ports = servers.map((server) => (server.address() as { readonly port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** What the checkout's own `bin/rondo` gives to Node: its options, and its environment for the memory allocator. */
const launchOf = (root: string) => {
  const launcher = readFileSync(join(root, "bin/rondo"), "utf8")
  const line = /^options="(.*)"$/m.exec(launcher)
  if (line === null) throw new Error(`${root}/bin/rondo has no line options="..."`)
  const allocator = [...launcher.matchAll(/^export (MALLOC_\w+)="\$\{\1:-(\d+)\}"$/gm)]
  return {
    options: line[1]!.split(" "),
    environment: Object.fromEntries(allocator.map(([, name, value]) => [name!, process.env[name!] ?? value!]))
  }
}

interface Process {
  readonly processId: number
  readonly ended: Promise<void>
  readonly output: () => string
  readonly isAlive: () => boolean
  readonly kill: (signal: NodeJS.Signals) => void
}

/** The pipe to the child's standard input closes when this process ends, and then the child ends too. */
const start = (
  root: string,
  script: string,
  parameters: ReadonlyArray<string>,
  environment: Record<string, string>
): Process => {
  const profile = process.env["RONDO_BENCH_NODE_OPTIONS"]?.split(" ") ?? []
  const launch = launchOf(root)
  const child = spawn(process.execPath, [...launch.options, ...profile, join(root, script), ...parameters], {
    cwd: root,
    env: { ...process.env, ...launch.environment, ...environment },
    stdio: ["pipe", "pipe", "pipe"]
  })
  let output = ""
  const keep = (text: Buffer) => {
    output = (output + text.toString()).slice(-4000)
  }
  child.stdout.on("data", keep)
  child.stderr.on("data", keep)
  return {
    processId: child.pid ?? 0,
    ended: new Promise((resolve) => child.once("close", () => resolve())),
    output: () => output,
    isAlive: () => child.exitCode === null && child.signalCode === null,
    kill: (signal) => child.kill(signal)
  }
}

const sleep = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

const waitReady = async (name: string, ports: ReadonlyArray<number>, processes: ReadonlyArray<Process>) => {
  const deadline = performance.now() + readyMillisMax
  for (const [index, port] of ports.entries()) {
    while (!(await fetch(`http://127.0.0.1:${port}/readyz`).then(({ ok }) => ok, () => false))) {
      if (performance.now() > deadline || !processes[index]!.isAlive()) {
        for (const child of processes) child.kill("SIGKILL")
        throw new Error(`node ${index + 1} of the ${name} cluster did not become ready:\n${processes[index]!.output()}`)
      }
      await sleep(100)
    }
  }
}

const stopAll = async (processes: ReadonlyArray<Process>) => {
  for (const child of processes) child.kill("SIGTERM")
  const kill = setTimeout(() => {
    for (const child of processes) child.kill("SIGKILL")
  }, 5000)
  await Promise.all(processes.map(({ ended }) => ended))
  clearTimeout(kill)
}

export const startBare = async (): Promise<Cluster> => {
  const ports = await freePorts()
  const processes = ports.map((_, index) => start(here, "bench/bareNode.ts", [String(index), ...ports.map(String)], {}))
  await waitReady("bare", ports, processes)
  return {
    name: "bare",
    ports,
    processIds: processes.map(({ processId }) => processId),
    directory: undefined,
    batches: async () => {
      const stats = await Promise.all(
        ports.map(async (port) =>
          await (await fetch(`http://127.0.0.1:${port}/stats`)).json() as {
            readonly batches: number
            readonly items: number
          }
        )
      )
      return {
        batches: stats.reduce((sum, { batches }) => sum + batches, 0),
        items: stats.reduce((sum, { items }) => sum + items, 0)
      }
    },
    metricsPages: () => Promise.resolve([]),
    stop: () => stopAll(processes)
  }
}

/**
 * A cluster of this checkout, or of another one with its own dependencies. It runs with `FSYNC=always`, the default, to
 * measure what Rondo promises.
 */
export const startRondo = async (against?: string | undefined): Promise<Cluster> => {
  const ports = await freePorts()
  const directory = await mkdtemp(join(tmpdir(), "rondo-bench-"))
  const processes = ports.map((port, index) =>
    start(against ?? here, "src/main.ts", ["serve", "--exit-with-parent"], {
      NODE_ID: `node${index + 1}`,
      NODE_ADDR: `127.0.0.1:${port}`,
      LISTEN: `127.0.0.1:${port}`,
      PEERS: ports.map((peer) => `127.0.0.1:${peer}`).join(","),
      DATA_DIR: join(directory, `node${index + 1}`),
      CLUSTER_SECRET: "bench",
      FSYNC: "always",
      LOG_LEVEL: process.env["LOG_LEVEL"] ?? "warn"
    })
  )
  try {
    await waitReady(against ?? "Rondo", ports, processes)
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    throw error
  }
  const metricsPages = () =>
    Promise.all(ports.map(async (port) => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()))
  return {
    name: against === undefined ? "rondo" : "against",
    ports,
    processIds: processes.map(({ processId }) => processId),
    directory,
    metricsPages,
    batches: async () => {
      const pages = (await metricsPages()).join("\n")
      const batches = metricsPage.sum(pages, /batch\w*_count$/)
      return batches === 0 ? undefined : { batches, items: metricsPage.sum(pages, /batch\w*_sum$/) }
    },
    stop: async () => {
      await stopAll(processes)
      await rm(directory, { recursive: true, force: true })
    }
  }
}
