/**
 * An open database: the engine in its directory, the bridge to it, and the versions of its writes.
 *
 * The lock lets one process write, so a version is a counter above all stored ones. The node id is one that no node
 * has: a Rondo node refuses the directory, and a database refuses a node's.
 *
 * Invariant
 * - A later write to a key has a higher version.
 */
import { Context, Effect, Exit, Layer, Logger, Option, Redacted, References, Scope } from "effect"
import * as Kind from "../config/Kind.ts"
import * as NodeConfig from "../config/NodeConfig.ts"
import { Disk } from "../disk/Disk.ts"
import * as DiskNode from "../disk/DiskNode.ts"
import { Identity } from "../disk/Identity.ts"
import { NodeId } from "../domain/NodeId.ts"
import type { Version } from "../domain/Version.ts"
import * as Logging from "../observability/Logging.ts"
import * as Engine from "../storage/Engine.ts"
import { Bridge } from "./Bridge.ts"
import * as LevelError from "./LevelError.ts"
import { layerClock, ProcessHold } from "./ProcessHold.ts"

type Fixed = "directory" | "fullShare" | "tombstones" | "tellsReplaced"

export interface EngineOptions extends Partial<Omit<Engine.Options, Fixed>> {}

export interface Options extends EngineOptions {
  readonly createIfMissing?: boolean
  readonly errorIfExists?: boolean
}

type OpenEngine = Effect.Success<ReturnType<typeof openEngine>>

export interface Database {
  readonly bridge: Bridge
  readonly engine: OpenEngine["engine"]
  /** The version of the next write. */
  readonly stamp: () => Version
  /** Whether an acknowledged write is on the device. */
  readonly syncsAlways: boolean
  /** Waits for the effects under way. */
  readonly close: () => Promise<void>
}

const nodeId = NodeId.make("level")

export const open = async (directory: string, options: Options): Promise<Database> => {
  const process = new ProcessHold()
  const scope = Scope.makeUnsafe()
  const exit = await held(process, openEngine(directory, options).pipe(Scope.provide(scope), Effect.provide(outside)))
  if (Exit.isFailure(exit)) {
    await held(process, Scope.close(scope, exit))
    process.end()
    throw LevelError.ofCause(exit.cause)
  }
  const { context, counterMax, engine, incarnation } = exit.value
  const bridge = new Bridge(context, process)
  let counter = counterMax
  return {
    bridge,
    engine,
    stamp: () => ({ counter: ++counter, nodeId, incarnation }),
    syncsAlways: (options.fsync ?? NodeConfig.defaults.fsync) === "always",
    close: async () => {
      await bridge.idle()
      await held(process, Scope.close(scope, Exit.void))
      process.end()
    }
  }
}

const held = async <A, E>(process: ProcessHold, effect: Effect.Effect<A, E>): Promise<Exit.Exit<A, E>> => {
  process.hold()
  try {
    return await Effect.runPromiseExit(effect)
  } finally {
    process.release()
  }
}

const openEngine = Effect.fnUntraced(function*(directory: string, options: Options) {
  const given = yield* engineOptions(options)
  const disk = yield* Disk
  const exists = (yield* disk.readFile(`${directory}/identity.json`)) !== undefined
  if (!exists && options.createIfMissing === false) return yield* new LevelError.DatabaseMissing({ path: directory })
  if (exists && options.errorIfExists === true) return yield* new LevelError.DatabaseExists({ path: directory })
  const { incarnation } = Context.get(yield* Layer.build(identityLayer(directory)), Identity)
  // There is no replica that could bring a deleted cell back, so compaction purges tombstones.
  // Versions only rise and nobody asks what a put replaced, so writes need no look-ups.
  const settings = { ...defaults, ...given, directory, tombstones: "purge" as const, tellsReplaced: false }
  const engine = yield* Engine.open(disk, settings)
  return { engine, incarnation, counterMax: yield* engine.counterMax, context: yield* Effect.context<never>() }
})

const defaults = {
  fsync: NodeConfig.defaults.fsync,
  memtableBytesMax: NodeConfig.defaults.memtableBytesMax,
  blockCacheBytesMax: NodeConfig.defaults.blockCacheBytesMax
}

const positive = Kind.integer(1)
const positiveOrZero = Kind.integer(0)

/** Checked first, because the engine would notice a bad value late or never. */
const kinds: Readonly<Record<keyof EngineOptions, Kind.Kind<unknown>>> = {
  fsync: NodeConfig.tuning.fsync.kind,
  memtableBytesMax: positive,
  blockCacheBytesMax: positiveOrZero,
  blockBytes: positive,
  bloomBitsPerKey: positiveOrZero,
  tableBytes: positive,
  levelBytes: positive,
  level0Tables: positive,
  openFilesMax: positive,
  salvage: Kind.onOff,
  scrubBytesPerSecond: positiveOrZero
}

/** Kinds read texts, and an option is a value: its text must read as the very same. */
const isOf = (kind: Kind.Kind<unknown>, value: unknown) => Option.contains(kind.decode(String(value)), value)

/** Level passes the caller's options together with its own. */
const engineOptions = Effect.fnUntraced(function*(options: EngineOptions) {
  const given = Object.entries(kinds).flatMap(([name, kind]) => {
    const value = options[name as keyof EngineOptions]
    return value === undefined ? [] : [{ name, value, kind }]
  })
  const bad = given.find(({ kind, value }) => !isOf(kind, value))
  if (bad !== undefined) {
    const { kind: { expected }, name, value } = bad
    return yield* new LevelError.InvalidOption({ name, value: String(value), expected })
  }
  return Object.fromEntries(given.map(({ name, value }) => [name, value])) as EngineOptions
})

/** Locks the directory, too. */
const identityLayer = (dataDirectory: string) =>
  Identity.layer.pipe(Layer.provide(Layer.succeed(NodeConfig.NodeConfig, {
    ...NodeConfig.defaults,
    nodeId,
    dataDirectory,
    address: "",
    listen: "",
    seeds: [],
    clusterSecret: Redacted.make(""),
    insecure: false
  })))

/** Logs to standard error: standard output belongs to the program. */
const outside = Layer.mergeAll(
  DiskNode.layer,
  layerClock,
  Logger.layer([Logger.withConsoleError(Logging.human)]),
  Layer.succeed(References.MinimumLogLevel, "Warn")
)
