/**
 * Checks the structure of `src`: a folder imports only from the folders before it, there are no import cycles, no
 * module but a leaf reads the time, draws a random number, starts a timer or opens a file or a socket, and only
 * `config` reads the environment.
 *
 * Pure, but for `main`.
 */
import { globSync, readFileSync } from "node:fs"
import { builtinModules } from "node:module"
import { posix } from "node:path"
import { fileURLToPath } from "node:url"

/** A folder imports only from itself and from those before it. Files directly in `src` that are not named see all. */
export const folderOrder = [
  "domain",
  "config",
  "observability",
  "disk",
  "storage",
  "clock",
  "peer",
  "gossip",
  "ring",
  "replication",
  "anti-entropy",
  "replicator",
  "coordinator",
  "Node.ts",
  "api",
  "server",
  "cli",
  "level",
  "simulation",
  "dashboard"
]

/**
 * The same inside a folder, for its folders and its files alike; a file that is not named counts as its folder's last.
 */
export const floorsOf: Readonly<Record<string, ReadonlyArray<string>>> = {
  storage: [
    "wal",
    "merge",
    "Feed.ts",
    "memtable",
    "sstable",
    "assertions.ts",
    "Levels.ts",
    "manifest",
    "load.ts",
    "lookUp.ts",
    "LiveTables.ts",
    "Waiters.ts",
    "Flushes.ts",
    "Compactions.ts",
    "Figures.ts",
    "State.ts",
    "scan",
    "integrity",
    "compaction",
    "snapshot",
    "offline",
    "Applied.ts",
    "decide.ts",
    "ActiveLog.ts",
    "Writer.ts",
    "Flusher.ts",
    "recover.ts",
    "Engine.ts",
    "Storage.ts",
    "Snapshots.ts"
  ],
  server: [
    "target.ts",
    "problemResponse.ts",
    "lane",
    "KvRequest.ts",
    "unmatched.ts",
    "Health.ts",
    "metricsText.ts",
    "KvHandlers.ts",
    "PeerHandlers.ts",
    "AdminHandlers.ts"
  ]
}

/** Other folders may import only this module of the folder. */
export const doors: Readonly<Record<string, string>> = { "server/lane": "server/lane/Lane.ts" }

/** The only doors to the outside, each with its reason. */
export const leaves: Readonly<Record<string, string>> = {
  "server/lane/connections.ts": "the inbound network: a socket whose answer nobody reads is cut by Node's own timeout",
  "domain/bytesNode.ts": "Node's natives for bytes, found at run time: a browser does without them",
  "disk/DiskNode.ts": "the real Disk: the one door to files",
  "peer/PeerAuth.ts": "the token of peers, by Node's HMAC",
  "peer/exchange.ts": "the outbound network: sockets to peers",
  "peer/PeerClientHttp.ts": "the real PeerClient: the outbound network",
  "level/ProcessHold.ts": "timers that leave a program free to end while its database is open",
  "main.ts": "the entry: reads this package's version, and gives the node Node's HTTP server",
  "server/lane/connectionError.ts": "connections that never became a request: Effect's server does not see them",
  "cli/NodeProcess.ts": "operating-system processes and ports, for `rondo up`",
  "simulation/main.ts": "the entry of `npm run simulate`: threads, progress, files for traces",
  "simulation/worker.ts": "a thread of `npm run simulate`",
  "cli/LoadGenerator.ts": "the load for measurements: an Effect client would measure itself"
}

/** Source text by path below `src`. */
export type Sources = ReadonlyMap<string, string>

interface Ambient {
  readonly pattern: RegExp
  readonly instead: string
  /** The files that must not use it; all when left out. */
  readonly where?: (path: string) => boolean
}

/** A node without its edges, and the simulator, except for the entries that are leaves. */
const runsInBrowser = (path: string): boolean => {
  const folder = nameIn("", path)
  const place = folderOrder.indexOf(folder)
  return folder === "simulation" || place !== -1 && place < folderOrder.indexOf("server")
}

/** An import of Node's module that leaves something at run time: types alone reach nothing. */
const imported = (names: string): RegExp =>
  new RegExp(`\\bimport(?:\\s+(?!type\\b)[^"';]*|\\(\\s*)["'](?:node:)?(?:${names})["']`)

const processMembers =
  "argv|binding|cpuUsage|cwd|exit|getBuiltinModule|kill|memoryUsage|nextTick|pid|platform|stderr|stdout"

const ambients: ReadonlyArray<Ambient> = [
  { pattern: /\bDate\.now\(|\bnew Date\(/, instead: "Clock" },
  { pattern: /\bMath\.random\(|\bcrypto\.randomUUID\(/, instead: "Random" },
  { pattern: /\bset(?:Timeout|Interval|Immediate)\(/, instead: "Effect.sleep" },
  { pattern: /\bperformance\.now\(|\bprocess\.hrtime\b/, instead: "Clock" },
  { pattern: imported("fs|fs/promises|sqlite"), instead: "Disk" },
  { pattern: imported("net|http|https|http2|tls|dgram"), instead: "PeerClient or HttpServer" },
  { pattern: imported("child_process|worker_threads|cluster"), instead: "NodeProcess" },
  {
    pattern: new RegExp(`(?<=\\b(?:from|import)\\s*\\(?\\s*)["'](?:node:[a-z_/]+|${builtinModules.join("|")})["']`),
    instead: "what a browser has too",
    where: runsInBrowser
  },
  { pattern: new RegExp(`(?<!\\.)\\bprocess\\.(?:${processMembers})\\b`), instead: "a service", where: runsInBrowser },
  { pattern: /["']@effect\/platform-node[a-zA-Z/-]*["']/, instead: "what a browser has too", where: runsInBrowser },
  { pattern: /\bBuffer\b/, instead: "domain/bytes", where: runsInBrowser }
]

/** Comments may name things that code must not use. */
const withoutComments = (text: string): string =>
  text.replace(
    /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\*[\s\S]*?\*\/|(?<=^|[\s;])\/\/.*$/gm,
    "$1"
  )

const relativeImports = (text: string): ReadonlyArray<string> =>
  Array.from(
    withoutComments(text).matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)["'](\.[^"']+)["']/g),
    (match) => match[1]!
  )

/** The files below `src` that each file imports. */
const graphOf = (sources: Sources): ReadonlyMap<string, ReadonlyArray<string>> =>
  new Map(Array.from(sources, ([path, text]) => [
    path,
    relativeImports(text).map((name) => posix.join(posix.dirname(path), name))
  ]))

const nameIn = (folder: string, path: string): string => path.slice(folder.length).split("/")[0]!

const isFile = (name: string): boolean => name.endsWith(".ts")

/** Both paths are below `folder`, which ends in a slash or is empty for `src` itself. */
const orderProblem = (order: ReadonlyArray<string>, folder: string, path: string, target: string) => {
  const from = nameIn(folder, path)
  const to = nameIn(folder, target)
  if (from === to || (!order.includes(from) && isFile(from))) return undefined
  const where = `the order of src/${folder}`
  if (!order.includes(to) && isFile(to)) return `${path} imports ${target}: ${to} has no place in ${where}`
  const unknown = [from, to].find((name) => !order.includes(name))
  if (unknown !== undefined) return `${path}: the folder ${unknown} has no place in ${where}`
  return order.indexOf(to) > order.indexOf(from)
    ? `${path} imports ${target}: ${to} comes after ${from} in ${where}`
    : undefined
}

/** Against the order of `src`, or of the folder that both files are in. */
const directionProblem = (path: string, target: string): string | undefined => {
  const folder = nameIn("", path)
  const floors = floorsOf[folder]
  return floors !== undefined && target.startsWith(`${folder}/`)
    ? orderProblem(floors, `${folder}/`, path, target)
    : orderProblem(folderOrder, "", path, target)
}

const doorProblem = (path: string, target: string): string | undefined => {
  const folder = posix.dirname(target)
  const door = doors[folder]
  return door === undefined || door === target || path.startsWith(`${folder}/`)
    ? undefined
    : `${path} imports ${target}: the door of ${folder} is ${door}`
}

/** What runs in a browser imports no leaf for itself: Node's are handed to it from outside, or found at run time. */
const leafProblem = (path: string, target: string): string | undefined =>
  runsInBrowser(path) && runsInBrowser(target) && target in leaves && !(path in leaves) &&
    target !== "domain/bytesNode.ts"
    ? `${path} imports ${target}: that leaf is not for browsers`
    : undefined

/** Each cycle once, as the path that leads back to its first file. */
const cycles = (graph: ReadonlyMap<string, ReadonlyArray<string>>): ReadonlyArray<string> => {
  const done = new Set<string>()
  const found: Array<string> = []
  const visit = (path: string, trail: ReadonlyArray<string>): void => {
    const seenAt = trail.indexOf(path)
    if (seenAt >= 0) found.push(`import cycle: ${[...trail.slice(seenAt), path].join(" -> ")}`)
    if (seenAt >= 0 || done.has(path)) return
    for (const target of graph.get(path) ?? []) visit(target, [...trail, path])
    done.add(path)
  }
  for (const path of graph.keys()) visit(path, [])
  return found
}

/** Each use of an API that only leaves may use, and its replacement. */
const reached = (path: string, text: string): ReadonlyArray<readonly [use: string, instead: string]> =>
  ambients.flatMap(({ instead, pattern, where }) => {
    const match = where?.(path) === false ? null : pattern.exec(withoutComments(text))
    return match === null ? [] : [[match[0].replace(/\s+/g, " "), instead]]
  })

const ambientProblems = (sources: Sources): ReadonlyArray<string> =>
  Array.from(sources).filter(([path]) => !(path in leaves)).flatMap(([path, text]) =>
    reached(path, text).map(([use, instead]) => `${path} uses ${use} and is no leaf: use ${instead}`)
  )

/** Settings are declared in `config`, so that each is listed, checked and documented. Leaves are no exception. */
const environmentProblems = (sources: Sources): ReadonlyArray<string> =>
  Array.from(sources).filter(([path]) => !path.startsWith("config/")).flatMap(([path, text]) => {
    const match = /\bprocess\.env\b|(?<!\.)\bConfig\.[A-Z]\w*/.exec(withoutComments(text))
    return match === null ? [] : [`${path} uses ${match[0]}: only config/ reads the environment`]
  })

/** Every violation as a sentence. */
export const problems = (sources: Sources): ReadonlyArray<string> => {
  const graph = graphOf(sources)
  const order = Array.from(graph).flatMap(([path, targets]) =>
    targets.flatMap((target) =>
      [directionProblem, doorProblem, leafProblem].map((check) => check(path, target)).filter((problem) =>
        problem !== undefined
      )
    )
  )
  const staleLeaves = Object.keys(leaves).filter((path) => reached(path, sources.get(path) ?? "").length === 0)
    .map((path) => `${path} is declared a leaf and reaches nothing`)
  return [...order, ...cycles(graph), ...ambientProblems(sources), ...environmentProblems(sources), ...staleLeaves]
}

/** The sources of this repository. */
export const readSources = (): Sources => {
  const root = fileURLToPath(new URL("../src/", import.meta.url))
  return new Map(globSync("**/*.ts", { cwd: root }).toSorted().map((path) => [path, readFileSync(root + path, "utf8")]))
}

const main = (): number => {
  const sources = readSources()
  const found = problems(sources)
  for (const problem of found) process.stdout.write(`${problem}\n`)
  process.stdout.write(`${sources.size} source files checked, ${found.length} problems\n`)
  return found.length === 0 ? 0 : 1
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = main()
