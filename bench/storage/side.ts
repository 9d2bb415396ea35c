/**
 * One checkout's engine in its own process, driven over a channel by `against.ts`:
 *
 *     node bench/storage/side.ts ROOT OPTIONS
 *
 * The `bench/storage/rondoStore.ts` of that checkout opens the store, because it fits that engine, and runs on the
 * Effect of that checkout. Everything else, above all the loads, is from this one.
 */
import type * as EffectModule from "effect"
import { createRequire } from "node:module"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import * as Histogram from "../../src/cli/Histogram.ts"
import * as SeededRandom from "../../src/domain/SeededRandom.ts"
import { settle } from "./Bench.ts"
import { keyOf, permutation } from "./cells.ts"
import * as Load from "./Load.ts"
import * as points from "./points.ts"
import type { Kind, OpenOptions, Store } from "./Store.ts"

export interface SideOptions extends Omit<OpenOptions, "synced"> {
  readonly cells: number
  readonly inFlight: number
}

export type Request =
  | { readonly ask: "slice"; readonly name: string; readonly millis: number }
  /** Asks for the figures of all slices since the previous `take`. */
  | { readonly ask: "take" }
  | { readonly ask: "settle" }

export interface Slice {
  /** No work is left; only for a workload that ends by count. */
  readonly isDone: boolean
}

export interface Taken {
  readonly operations: number
  readonly millis: number
  readonly cpuMicros: number
  readonly p99Micros: number
  /** By how many cells the results were too many or too few. */
  readonly wrongCells: number
}

const [root, optionsText] = process.argv.slice(2) as [string, string]
const options = JSON.parse(optionsText) as SideOptions

const imported = (file: string): Promise<unknown> => import(pathToFileURL(file).href)
const { rondo } = await imported(path.join(root, "bench/storage/rondoStore.ts")) as { readonly rondo: Kind }
const { Effect, Scope } = await imported(
  createRequire(path.join(root, "src/main.ts")).resolve("effect")
) as typeof EffectModule

const scope = Effect.runSync(Scope.make())
const stores = new Map<boolean, Store>()
const storeOf = async (synced: boolean): Promise<Store> => {
  const open = stores.get(synced)
  if (open !== undefined) return open
  const directory = path.join(options.directory, synced ? "synced" : "main")
  const opened = await Effect.runPromise(Scope.provide(rondo.open({ ...options, directory, synced }), scope))
  stores.set(synced, opened)
  return opened
}

const shuffled = permutation(options.cells, options.seed)
let filled = 0
const fillPoint: points.Point = {
  name: "fill-random",
  operation: "put",
  inFlight: options.inFlight,
  key: () => keyOf(shuffled(filled++)),
  found: 1
}

const all = new Map(
  [
    fillPoint,
    ...points.reads(options.inFlight, options.cells),
    ...points.writes(options.inFlight),
    ...points.syncedWrites
  ].map((point) => [point.name as string, point])
)

const draw = SeededRandom.make(options.seed)
let recorded = Load.recording()
let wrongCells = 0
let cpuBefore = process.cpuUsage()

const slice = async (name: string, millis: number): Promise<Slice> => {
  const { found, inFlight, key, operation } = all.get(name)!
  const store = await storeOf(points.syncedWrites.some((point) => point.name === name))
  const isFill = name === fillPoint.name
  const until = { millis, ...(isFill ? { count: options.cells - filled } : {}) }
  const load = Load.make(operation, inFlight, () => key(draw, options.cells), until, recorded)
  const before = { cells: recorded.cells, operations: recorded.operations }
  const beganAt = performance.now()
  await Effect.runPromise(store.drive(load))
  recorded.millis += performance.now() - beganAt
  wrongCells += Math.abs(recorded.cells - before.cells - (recorded.operations - before.operations) * found)
  return { isDone: isFill && filled === options.cells }
}

const take = (): Taken => {
  const { system, user } = process.cpuUsage(cpuBefore)
  const taken = {
    operations: recorded.operations,
    millis: recorded.millis,
    cpuMicros: system + user,
    p99Micros: Histogram.percentileMicros(recorded.histogram, 0.99),
    wrongCells
  }
  cpuBefore = process.cpuUsage()
  recorded = Load.recording()
  wrongCells = 0
  return taken
}

process.on("message", async (request: Request) => {
  switch (request.ask) {
    case "slice":
      return process.send!(await slice(request.name, request.millis))
    case "take":
      return process.send!(take())
    case "settle":
      return process.send!(await Effect.runPromise(settle))
  }
})
process.send!("ready")
