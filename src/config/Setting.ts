/**
 * One setting of a node, declared once. Its environment variable, its flag, `--help`, the README's table and the check
 * at start all derive from the declaration.
 *
 * Values come from the `ConfigProvider`: the environment, or the flags that `rondo serve` lays over it.
 */
import { Config, Duration, Effect, Option, Schema } from "effect"
import { parseAddress } from "./address.ts"

/** The texts that a setting takes, and the values they stand for. */
export interface Kind<A> {
  readonly decode: (text: string) => Option.Option<A>
  /** Completes "must be". */
  readonly expected: string
  /** Given as a flag without a value. */
  readonly isSwitch?: boolean
}

export interface Setting<A> {
  readonly variable: string
  /** As README and `--help` show it. */
  readonly meaning: string
  readonly kind: Kind<A>
  /** The text when none is given; a variable in it is replaced by its value. `undefined`: the setting is required. */
  readonly fallback: string | undefined
}

export type Declarations = Readonly<Record<string, Setting<unknown>>>

export type Values<D extends Declarations> = {
  readonly [Name in keyof D]: D[Name] extends Setting<infer A> ? A : never
}

export const make = <A>(variable: string, meaning: string, kind: Kind<A>, fallback?: string | number): Setting<A> => ({
  variable,
  meaning,
  kind,
  fallback: fallback === undefined ? undefined : String(fallback)
})

export const flagOf = ({ variable }: Setting<unknown>): string => variable.toLowerCase().replaceAll("_", "-")

/** One or more settings that cannot work, with a sentence for each that says how to mend it. */
export class BadSettings extends Schema.TaggedError<BadSettings>()("BadSettings", {
  problems: Schema.Array(Schema.String)
}) {
  override get message() {
    return this.problems.join("\n")
  }
}

/** `expected` completes "must be". */
export const kind = <A>(schema: Schema.Codec<A, unknown>, expected: string): Kind<A> => ({
  decode: Schema.decodeUnknownOption(Schema.toCodecStringTree(schema)),
  expected
})

export const text = kind(Schema.String, "text")
export const secret = kind(Schema.Redacted(Schema.String), "text")

export const oneOf = <const L extends ReadonlyArray<string>>(literals: L) =>
  kind(Schema.Literals(literals), `${literals.slice(0, -1).join(", ")} or ${literals.at(-1)}`)

export const integer = (minimum: number, maximum = Number.MAX_SAFE_INTEGER) =>
  kind(
    Schema.Int.check(Schema.isBetween({ minimum, maximum })),
    `a whole number, ${minimum} ${maximum === Number.MAX_SAFE_INTEGER ? "or more" : `to ${maximum}`}`
  )

/** An interval of zero would spin, an endless one never act. */
export const duration = kind(
  Schema.DurationFromString.check(
    Schema.makeFilter((value) => Duration.isFinite(value) && Duration.isGreaterThan(value, Duration.zero))
  ),
  `a time above zero, such as "500 millis" or "2 seconds"`
)

const yes = ["true", "yes", "on", "1", "y"]
const no = ["false", "no", "off", "0", "n"]

export const onOff: Kind<boolean> = {
  decode: (text) => yes.includes(text) ? Option.some(true) : no.includes(text) ? Option.some(false) : Option.none(),
  expected: "true or false",
  isSwitch: true
}

const isAddress = (text: string): boolean => parseAddress(text) !== undefined

export const address: Kind<string> = {
  decode: Option.liftPredicate(isAddress),
  expected: "host:port, such as 127.0.0.1:8081"
}

const isEachAddress = (texts: ReadonlyArray<string>): boolean => texts.every(isAddress)

export const addresses: Kind<ReadonlyArray<string>> = {
  decode: (text) =>
    Option.liftPredicate(isEachAddress)(text.split(",").map((part) => part.trim()).filter((part) => part !== "")),
  expected: `${address.expected}; several are separated by commas`
}

/** How an operator finds the setting: `VNODES (--vnodes)`. */
export const nameOf = (setting: Setting<unknown>): string => `${setting.variable} (--${flagOf(setting)})`

export const bad = (setting: Setting<unknown>, value: unknown, expected: string): string =>
  `${nameOf(setting)} is "${value}", but must be ${expected}`

/** Fails with the setting's problem, or with none when the problem is another setting's. */
const read = Effect.fnUntraced(function*<A>(
  setting: Setting<A>
): Effect.fn.Return<A, ReadonlyArray<string>> {
  const { fallback, kind, meaning, variable } = setting
  const given = yield* textOf(variable)
  if (given !== undefined) {
    return yield* Effect.mapError(
      Effect.fromOption(kind.decode(given)),
      () => [bad(setting, given, kind.expected)]
    )
  }
  if (fallback === undefined) return yield* Effect.fail([`${nameOf(setting)} is not set: ${meaning}`])
  let text = fallback
  for (const [other] of fallback.matchAll(/\b[A-Z]+_[A-Z]+\b/g)) {
    text = text.replace(other, (yield* textOf(other)) ?? "")
  }
  return yield* Effect.mapError(Effect.fromOption(kind.decode(text)), () => [])
})

const textOf = (variable: string): Effect.Effect<string | undefined> =>
  Config.String(variable).pipe(Effect.orElseSucceed(() => undefined))

/**
 * All settings of a group, or every problem at once. `problemsAmong` finds those that do not fit each other; a setting
 * with a problem of its own is not among `good`.
 */
export const readAll = Effect.fnUntraced(function*<D extends Declarations>(
  declarations: D,
  problemsAmong: (good: Partial<Values<D>>) => ReadonlyArray<string> = () => []
) {
  const [entries, problems] = yield* Effect.partition(
    Object.entries(declarations),
    ([name, setting]) => Effect.map(read(setting), (value) => [name, value] as const)
  )
  const good = Object.fromEntries(entries) as Partial<Values<D>>
  const all = [...problems.flat(), ...problemsAmong(good)]
  return all.length === 0 ? good as Values<D> : yield* new BadSettings({ problems: all })
})

/** The values of settings that need not be given and depend on no other. */
export const defaults = <D extends Declarations>(declarations: D): Values<D> =>
  Object.fromEntries(
    Object.entries(declarations).map(([name, { fallback, kind }]) => [name, Option.getOrThrow(kind.decode(fallback!))])
  ) as Values<D>
