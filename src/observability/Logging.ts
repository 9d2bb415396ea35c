/**
 * Log lines for people by default, one JSON object a line with `LOG_FORMAT=json`, from `LOG_LEVEL` (default `info`) up.
 *
 *     2026-01-02T03:04:05.678Z INFO  node2 is up  address=127.0.0.1:8082
 *
 * Values never appear in logs: a line names keys and sizes at most.
 */
import { Array, Cause, Effect, Layer, Logger, References } from "effect"
import { capitalize } from "effect/String"
import * as LoggingConfig from "../config/LoggingConfig.ts"

const asText = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value) ?? String(value))

/** A line feed inside a message would let a client forge a line of its own. */
const oneLine = (text: string): string => text.replaceAll("\r", "\\r").replaceAll("\n", "\\n")

const label = (name: string, value: unknown): string => {
  const text = oneLine(asText(value))
  return `${name}=${/[\s"=]/.test(text) ? JSON.stringify(text) : text}`
}

/** One event as one line; only a cause adds lines, indented. */
export const human = Logger.make<unknown, string>(({ cause, date, fiber, logLevel, message }) => {
  const messages = Array.ensure(message).map((part) => oneLine(asText(part))).join(" ")
  const labels = Object.entries(fiber.getRef(References.CurrentLogAnnotations)).map(([name, value]) =>
    label(name, value)
  )
  const head = [`${date.toISOString()} ${logLevel.toUpperCase().padEnd(5)} ${messages}`, ...labels].join("  ")
  return cause.reasons.length === 0 ? head : `${head}\n    ${Cause.pretty(cause).replaceAll("\n", "\n    ")}`
})

export const layer = Layer.unwrap(Effect.map(LoggingConfig.load, ({ format, level }) =>
  Layer.mergeAll(
    Logger.layer([format === "json" ? Logger.consoleJson : Logger.withConsoleLog(human)]),
    Layer.succeed(References.MinimumLogLevel, capitalize(level))
  )))
