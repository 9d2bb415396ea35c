/** The nodes that `rondo up` starts, with their settings, and the messages about them. Pure. */
import { relative, resolve } from "node:path"
import * as ClusterConfig from "../config/ClusterConfig.ts"
import type { Ending } from "./NodeProcess.ts"

export interface PlannedNode {
  readonly id: string
  readonly port: number
  readonly address: string
  readonly dataDirectory: string
  /** Settings in which nodes differ or must agree; the environment has the others. */
  readonly settings: Readonly<Record<string, string>>
}

export interface Plan {
  readonly nodes: ReadonlyArray<PlannedNode>
  /** The command and the directory of a person who types the lines below. */
  readonly program: string
  readonly currentDirectory: string
}

export interface Options {
  readonly nodes: number
  readonly basePort: number
  readonly dataDirectory: string
  readonly program: string
  readonly currentDirectory: string
  readonly environment: Readonly<Record<string, string | undefined>>
}

const shared = Object.values(ClusterConfig.declared).map(({ variable }) => variable)

/**
 * Settings on which all nodes must agree: the command that restarts a node repeats them, or its peers would refuse it.
 * A cluster of fewer nodes than replicas could never reach a quorum, so it keeps one copy per node.
 */
const sharedSettings = ({ environment, nodes }: Options): Record<string, string> => {
  const isSmall = nodes < 3 && environment["REPLICATION_FACTOR"] === undefined
  return Object.fromEntries(shared.flatMap((variable) => {
    const value = isSmall ? String(nodes) : environment[variable]
    return value === undefined ? [] : [[variable, value]]
  }))
}

export const plan = (options: Options): Plan => {
  const addresses = Array.from({ length: options.nodes }, (_, index) => `127.0.0.1:${options.basePort + index}`)
  const nodes = addresses.map((address, index): PlannedNode => {
    const id = `node${index + 1}`
    const dataDirectory = `${options.dataDirectory.replace(/\/+$/, "")}/${id}`
    return {
      id,
      port: options.basePort + index,
      address,
      dataDirectory,
      settings: {
        NODE_ID: id,
        NODE_ADDR: address,
        PEERS: addresses.join(","),
        DATA_DIR: dataDirectory,
        ...sharedSettings(options)
      }
    }
  })
  return { nodes, program: options.program, currentDirectory: options.currentDirectory }
}

/** A node's environment: that of `up`, except names and addresses. */
export const environmentOf = (
  node: PlannedNode,
  environment: Readonly<Record<string, string | undefined>>
): Record<string, string | undefined> => ({ ...environment, LISTEN: node.address, ...node.settings })

const below = (directory: string, path: string): string => {
  const short = relative(directory, resolve(directory, path))
  return short === "" || short.startsWith("..") ? path : short
}

const quoted = (text: string): string =>
  /^[A-Za-z0-9_./:,=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`

/** One line for a shell that starts this node again. */
export const startCommand = (plan: Plan, node: PlannedNode): string => {
  const settings = Object.entries({ ...node.settings, DATA_DIR: below(plan.currentDirectory, node.dataDirectory) })
  return `${settings.map(([name, value]) => `${name}=${quoted(value)}`).join(" ")} ` +
    `${quoted(below(plan.currentDirectory, plan.program))} serve`
}

const nodesWord = (count: number): string => count === 1 ? "1 node" : `${count} nodes`

export const startMessage = (plan: Plan, pids: ReadonlyMap<string, number>, ready: ReadonlySet<string>): string => {
  const present = plan.nodes.filter(({ id }) => ready.has(id))
  const first = present[0]!
  const second = present[1] ?? first
  return [
    "",
    `Rondo is up: ${nodesWord(present.length)} on this machine.`,
    "",
    ...present.map(({ dataDirectory, id, port }) =>
      `  ${id}  http://localhost:${port}  data in ${below(plan.currentDirectory, dataDirectory)}  process ${
        pids.get(id)
      }`
    ),
    "",
    `  API documentation  http://localhost:${first.port}/docs`,
    `  State              ${quoted(below(plan.currentDirectory, plan.program))} status --url localhost:${first.port}`,
    "",
    "Try it: write through one node, read through another.",
    "",
    `  curl -X PUT --data hello http://localhost:${first.port}/kv/greeting`,
    `  curl http://localhost:${second.port}/kv/greeting`,
    "",
    "The data stays when the cluster stops. Ctrl-C stops it.",
    ""
  ].join("\n")
}

export const deathMessage = (plan: Plan, node: PlannedNode, ending: Ending, left: number): string => {
  const how = ending.signal !== undefined
    ? `was killed by ${ending.signal}`
    : `ended with exit code ${ending.code ?? "unknown"}`
  const rest = left === 0
    ? "No node is running."
    : `${left} of ${plan.nodes.length} nodes still running.`
  return [
    "",
    `${node.id} ${how}. ${rest} To bring it back, in another terminal:`,
    `  cd ${quoted(plan.currentDirectory)} && ${startCommand(plan, node)}`,
    ""
  ].join("\n")
}

export const portsTakenMessage = (taken: ReadonlyArray<number>, options: Options): string => {
  const ports = taken.join(", ")
  return `port${taken.length === 1 ? "" : "s"} ${ports} on this machine ${taken.length === 1 ? "is" : "are"} in use, ` +
    `maybe by another rondo up (lsof -i :${taken[0]} shows it). Stop it, or choose other ports: ` +
    `rondo up --base-port ${options.basePort + 1000}`
}

const colours = [36, 33, 35, 32, 34, 31]

/** `node2 | ` before each line of that node, in its colour. */
export const prefix = (plan: Plan, node: PlannedNode, coloured: boolean): string => {
  const index = plan.nodes.indexOf(node)
  const width = Math.max(...plan.nodes.map(({ id }) => id.length))
  const text = `${node.id.padEnd(width)} | `
  return coloured ? `\x1b[${colours[index % colours.length]}m${text}\x1b[0m` : text
}
