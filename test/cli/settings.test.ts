import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Option } from "effect"
import { readFileSync } from "node:fs"
import * as settings from "../../src/cli/settings.ts"

const problemsOf = (environment: Record<string, string>, flags: Record<string, string> = {}) =>
  Effect.gen(function*() {
    return yield* settings.problems(yield* settings.provider(flags))
  }).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(environment))))

const good = { NODE_ID: "node1", NODE_ADDR: "127.0.0.1:8081" }

describe("settings", () => {
  it("has a flag for each variable that the configuration reads", () => {
    const sources = ["config/NodeConfig.ts", "config/ClusterConfig.ts", "observability/Logging.ts"]
      .map((file) => readFileSync(new URL(`../../src/${file}`, import.meta.url), "utf8"))
      .join("\n")
    const read = new Set(Array.from(sources.matchAll(/"([A-Z][A-Z_]{3,})"/g), ([, name]) => name!))
    assert.deepStrictEqual([...read].filter((name) => !settings.variables.includes(name)), [])
    assert.isAtLeast(read.size, 20)
    assert.strictEqual(settings.flagName("HINTS_BYTES_MAX"), "hints-bytes-max")
  })

  it("takes what was given, and flags without a value", () => {
    const neither = { insecure: false, salvage: false }
    assert.deepStrictEqual(settings.overrides({ NODE_ID: Option.some("a"), FSYNC: Option.none() }, neither), {
      NODE_ID: "a"
    })
    assert.deepStrictEqual(settings.overrides({}, { ...neither, insecure: true }), { INSECURE: "true" })
    assert.deepStrictEqual(settings.overrides({}, { ...neither, salvage: true }), { SALVAGE: "true" })
  })

  it.effect("finds nothing wrong with good settings", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* problemsOf(good), [])
    }))

  it.effect("lets a flag win over the environment", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* problemsOf({ ...good, VNODES: "many" }, { VNODES: "7" }), [])
      assert.strictEqual((yield* problemsOf(good, { VNODES: "many" })).length, 1)
    }))

  it.effect("names everything that is missing or wrong at once", () =>
    Effect.gen(function*() {
      const problems = yield* problemsOf({
        NODE_ID: "bad id",
        LISTEN: "0.0.0.0:8081",
        FSYNC: "sometimes",
        VNODES: "0",
        WRITE_QUORUM: "4",
        LOG_LEVEL: "loud"
      })
      const starts = [
        "NODE_ID (--node-id) is \"bad id\": a node id has",
        "NODE_ADDR (--node-addr) is not set",
        "CLUSTER_SECRET (--cluster-secret): listening on 0.0.0.0:8081",
        "FSYNC (--fsync) is \"sometimes\"",
        "VNODES (--vnodes): must be 1 to 10000, not 0",
        "WRITE_QUORUM (--write-quorum): WRITE_QUORUM must be",
        "LOG_LEVEL (--log-level) is \"loud\""
      ]
      for (const start of starts) {
        assert.isTrue(problems.some((problem) => problem.startsWith(start)), `${start}\n${problems.join("\n")}`)
      }
      assert.strictEqual(problems.length, starts.length)
    }))
})
