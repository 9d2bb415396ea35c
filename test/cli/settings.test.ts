import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Option, Record } from "effect"
import * as settings from "../../src/cli/settings.ts"

const problemsOf = (environment: Record<string, string>, flags: Record<string, string> = {}) =>
  Effect.gen(function*() {
    const provider = yield* settings.provider(Record.map(flags, Option.some))
    return yield* Effect.provideService(settings.problems, ConfigProvider.ConfigProvider, provider)
  }).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(environment))))

const good = { NODE_ID: "node1", NODE_ADDR: "127.0.0.1:8081" }

describe("settings", () => {
  it("gives no two settings one name", () => {
    assert.strictEqual(new Set(Object.keys(settings.flags)).size, settings.all.length)
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
        "NODE_ID (--node-id) is \"bad id\", but must be 1 to 63 letters",
        "NODE_ADDR (--node-addr) is not set: host:port at which",
        "CLUSTER_SECRET (--cluster-secret) is not set, but other machines can reach 0.0.0.0:8081",
        "FSYNC (--fsync) is \"sometimes\", but must be always, interval or never",
        "VNODES (--vnodes) is \"0\", but must be",
        "WRITE_QUORUM (--write-quorum) is \"4\", but must be at most REPLICATION_FACTOR",
        "LOG_LEVEL (--log-level) is \"loud\", but must be"
      ]
      for (const start of starts) {
        assert.isTrue(problems.some((problem) => problem.startsWith(start)), `${start}\n${problems.join("\n")}`)
      }
      assert.strictEqual(problems.length, starts.length)
    }))
})
