/** Flags in the form that all commands share: the help names each one's default. */
import { Flag } from "effect/cli"

export const onOff = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false))

export const text = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.optional)

interface Range {
  readonly minimum: number
  readonly maximum?: number
}

const within = ({ maximum = Number.POSITIVE_INFINITY, minimum }: Range) =>
  Flag.filter(
    (value: number) => value >= minimum && value <= maximum,
    () => maximum === Number.POSITIVE_INFINITY ? `must be ${minimum} or more` : `must be ${minimum} to ${maximum}`
  )

export const integer = (name: string, description: string, fallback: number, range: Range = { minimum: 1 }) =>
  Flag.Int(name).pipe(
    Flag.withDescription(`${description} (default ${fallback})`),
    within(range),
    Flag.withDefault(fallback)
  )

export const optionalInteger = (name: string, description: string, range: Range) =>
  Flag.Int(name).pipe(Flag.withDescription(description), within(range), Flag.optional)

export const quiet = onOff("quiet", "Show no progress")
export const json = onOff("json", "Print the result as JSON")
