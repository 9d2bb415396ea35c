/** The settings of a node as flags, which win over the environment, and all mistakes in them at once. */
import { ConfigProvider, Effect, type Option, Record } from "effect"
import { Flag } from "effect/cli"
import * as ClusterConfig from "../config/ClusterConfig.ts"
import * as LoggingConfig from "../config/LoggingConfig.ts"
import * as NodeConfig from "../config/NodeConfig.ts"
import * as Setting from "../config/Setting.ts"

export const all: ReadonlyArray<Setting.Setting<unknown>> = [
  NodeConfig.identity,
  ClusterConfig.declared,
  NodeConfig.tuning,
  LoggingConfig.declared
].flatMap((group) => Object.values(group))

/** Begins with a capital, unless its first word is a value. */
const sentence = ({ kind, meaning }: Setting.Setting<unknown>): string =>
  kind.expected.startsWith(/^\w+/.exec(meaning)![0]) ? meaning : meaning[0]!.toUpperCase() + meaning.slice(1)

const describe = (setting: Setting.Setting<unknown>): string => {
  const { fallback, variable } = setting
  return `${sentence(setting)} (${variable}${
    fallback === undefined ? ", required" : fallback === "" ? "" : `, default ${fallback}`
  })`
}

const flagFor = (setting: Setting.Setting<unknown>): Flag.Flag<Option.Option<string>> => {
  const name = Setting.flagOf(setting)
  const flag = setting.kind.isSwitch === true ? Flag.map(Flag.Boolean(name), String) : Flag.String(name)
  return flag.pipe(Flag.withDescription(describe(setting)), Flag.optional)
}

/** Flags by variable. */
export const flags = Object.fromEntries(all.map((setting) => [setting.variable, flagFor(setting)]))

/** The given flags over the present provider, usually the environment. */
export const provider = (given: Readonly<Record<string, Option.Option<string>>>) =>
  Effect.map(
    ConfigProvider.ConfigProvider,
    (before) => ConfigProvider.fromEnvRecord(Record.getSomes(given)).pipe(ConfigProvider.orElse(before))
  )

const loads: ReadonlyArray<Effect.Effect<unknown, Setting.BadSettings>> = [
  NodeConfig.load,
  ClusterConfig.load,
  LoggingConfig.load
]

/** All mistakes in the settings, one sentence each. */
export const problems = Effect.partition(loads, (load) => load).pipe(
  Effect.map(([, failures]) => failures.flatMap((failure) => failure.problems))
)
