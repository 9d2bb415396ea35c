import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Console, Effect, Layer } from "effect"
import * as Logging from "../../src/observability/Logging.ts"

/** The lines that `program` logs under `environment`. */
const logged = (environment: Record<string, string>, program: Effect.Effect<void>) =>
  Effect.gen(function*() {
    const lines: Array<string> = []
    const console = { ...globalThis.console, log: (line: unknown) => lines.push(String(line)) }
    yield* program.pipe(
      Effect.provide(Logging.layer.pipe(
        Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(environment)))
      )),
      Effect.provideService(Console.Console, console)
    )
    return lines
  })

describe("logging", () => {
  it.effect("writes one line for people by default, with its annotations", () =>
    Effect.gen(function*() {
      const program = Effect.logInfo("node2 is up", 3).pipe(
        Effect.annotateLogs({ address: "127.0.0.1:8082", why: "a b" })
      )
      assert.deepStrictEqual(yield* logged({}, program), [
        `1970-01-01T00:00:00.000Z INFO  node2 is up 3  address=127.0.0.1:8082  why="a b"`
      ])
    }))

  it.effect("keeps a message on its line, so that nobody can forge one", () =>
    Effect.gen(function*() {
      const [line] = yield* logged({}, Effect.logWarning("key a\nINFO forged\r"))
      assert.strictEqual(line, "1970-01-01T00:00:00.000Z WARN  key a\\nINFO forged\\r")
    }))

  it.effect("adds the cause below, indented", () =>
    Effect.gen(function*() {
      const program = Effect.fail("no disk").pipe(
        Effect.catchCause((cause) => Effect.logError("flush failed", cause))
      )
      const [text] = yield* logged({}, program)
      const [head, ...rest] = text!.split("\n")
      assert.include(head, "ERROR flush failed")
      assert.isNotEmpty(rest)
      for (const line of rest) assert.isTrue(line.startsWith("    "))
    }))

  it.effect("writes JSON with LOG_FORMAT=json", () =>
    Effect.gen(function*() {
      const [line] = yield* logged({ LOG_FORMAT: "json" }, Effect.logInfo("ready"))
      assert.deepInclude(JSON.parse(line!), { level: "INFO", message: "ready" })
    }))

  it.effect("writes from LOG_LEVEL up", () =>
    Effect.gen(function*() {
      const program = Effect.logDebug("low").pipe(Effect.andThen(Effect.logWarning("high")))
      assert.lengthOf(yield* logged({ LOG_LEVEL: "debug" }, program), 2)
      assert.lengthOf(yield* logged({}, program), 1)
      assert.lengthOf(yield* logged({ LOG_LEVEL: "none" }, program), 0)
    }))

  it.effect("refuses a level or format that does not exist", () =>
    Effect.gen(function*() {
      for (const environment of [{ LOG_LEVEL: "loud" }, { LOG_FORMAT: "xml" }]) {
        const exit = yield* Effect.exit(logged(environment, Effect.void))
        assert.strictEqual(exit._tag, "Failure")
      }
    }))

  it.effect("shows values other than texts as JSON", () =>
    Effect.gen(function*() {
      const [line] = yield* logged({}, Effect.logInfo({ keys: 2 }).pipe(Effect.annotateLogs({ none: undefined })))
      assert.strictEqual(line, `1970-01-01T00:00:00.000Z INFO  {"keys":2}  none=undefined`)
    }))
})
