/**
 * One setting of a node, declared once. Its environment variable, its flag, `--help`, the README's table and the check
 * at start all derive from the declaration.
 *
 * Values come from the `ConfigProvider`: the environment, or the flags that `rondo serve` lays over it.
 */
import { Config, Effect, Option, Schema } from "effect"
import type { Kind } from "./Kind.ts"

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

export const setting = <A>(
  variable: string,
  meaning: string,
  kind: Kind<A>,
  fallback?: string | number
): Setting<A> => ({
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

/** How an operator finds the setting: `VNODES (--vnodes)`. */
export const nameOf = (of: Setting<unknown>): string => `${of.variable} (--${flagOf(of)})`

export const problemOf = (setting: Setting<unknown>, value: unknown, expected: string): string =>
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
      () => [problemOf(setting, given, kind.expected)]
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
export const defaultsOf = <D extends Declarations>(declarations: D): Values<D> =>
  Object.fromEntries(
    Object.entries(declarations).map(([name, { fallback, kind }]) => [name, Option.getOrThrow(kind.decode(fallback!))])
  ) as Values<D>
