/** The kinds of values that settings have: how a text becomes a value, and which texts do. Pure. */
import { Duration, Option, Schema } from "effect"
import { parseAddress } from "./address.ts"

export interface Kind<out A> {
  readonly decode: (text: string) => Option.Option<A>
  /** Completes "must be". */
  readonly expected: string
  /** Given as a flag without a value. */
  readonly isSwitch?: boolean
}

/** `expected` completes "must be". */
export const of = <A>(schema: Schema.Codec<A, unknown>, expected: string): Kind<A> => ({
  decode: Schema.decodeUnknownOption(Schema.toCodecStringTree(schema)),
  expected
})

export const text = of(Schema.String, "text")
export const secret = of(Schema.Redacted(Schema.String), "text")

export const oneOf = <const L extends ReadonlyArray<string>>(literals: L) =>
  of(Schema.Literals(literals), `${literals.slice(0, -1).join(", ")} or ${literals.at(-1)}`)

export const integer = (minimum: number, maximum = Number.MAX_SAFE_INTEGER) =>
  of(
    Schema.Int.check(Schema.isBetween({ minimum, maximum })),
    `a whole number, ${minimum} ${maximum === Number.MAX_SAFE_INTEGER ? "or more" : `to ${maximum}`}`
  )

/** An interval of zero would spin, and an endless one would never end. */
const inWords = of(
  Schema.DurationFromString.check(
    Schema.makeFilter((value) => Duration.isFinite(value) && Duration.isGreaterThan(value, Duration.zero))
  ),
  `a time above zero, such as "500ms", "2s", "15m" or "2 hours"`
)

const unitOf: Readonly<Record<string, string>> = { ms: "millis", s: "seconds", m: "minutes", h: "hours", d: "days" }

export const duration: Kind<Duration.Duration> = {
  ...inWords,
  decode: (text) => inWords.decode(text.replace(/(?<=^[\d.]+)(ms|[smhd])$/, (unit) => ` ${unitOf[unit]}`))
}

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
