import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { ClusterConfig, type ClusterSettings, defaults, problem } from "../../src/config/ClusterConfig.ts"

const load = (env: Record<string, string>) =>
  Effect.service(ClusterConfig).pipe(
    Effect.provide(ClusterConfig.layer),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
  )

const refusal = (env: Record<string, string>) => Effect.map(Effect.flip(load(env)), (error) => error.message)

describe("ClusterConfig", () => {
  it.effect("keeps three copies and waits for two of them, unless told otherwise", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* load({}), {
        replicationFactor: 3,
        writeQuorum: 2,
        readQuorum: 2,
        partitions: 1024
      })
    }))

  it.effect("reads its settings from the environment", () =>
    Effect.gen(function*() {
      const settings = yield* load({ REPLICATION_FACTOR: "5", WRITE_QUORUM: "4", READ_QUORUM: "1" })
      assert.deepStrictEqual(settings, { replicationFactor: 5, writeQuorum: 4, readQuorum: 1, partitions: 1024 })
    }))

  it.effect("takes an empty variable for one that is not set", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* load({ REPLICATION_FACTOR: "", WRITE_QUORUM: "", READ_QUORUM: "" }), defaults)
    }))

  it.effect("refuses a replication factor outside of 1 to 16", () =>
    Effect.gen(function*() {
      const reason = "REPLICATION_FACTOR must be 1 to 16"
      assert.strictEqual(yield* refusal({ REPLICATION_FACTOR: "0" }), reason)
      assert.strictEqual(yield* refusal({ REPLICATION_FACTOR: "17" }), reason)
      assert.strictEqual((yield* load({ REPLICATION_FACTOR: "16" })).replicationFactor, 16)
      assert.strictEqual(
        (yield* load({ REPLICATION_FACTOR: "1", WRITE_QUORUM: "1", READ_QUORUM: "1" })).replicationFactor,
        1
      )
    }))

  it.effect("refuses a quorum of none, or of more replicas than there are", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* refusal({ WRITE_QUORUM: "0" }), "WRITE_QUORUM must be 1 to REPLICATION_FACTOR")
      assert.strictEqual(yield* refusal({ WRITE_QUORUM: "4" }), "WRITE_QUORUM must be 1 to REPLICATION_FACTOR")
      assert.strictEqual(yield* refusal({ READ_QUORUM: "0" }), "READ_QUORUM must be 1 to REPLICATION_FACTOR")
      assert.strictEqual(yield* refusal({ READ_QUORUM: "4" }), "READ_QUORUM must be 1 to REPLICATION_FACTOR")
      assert.strictEqual(
        yield* refusal({ REPLICATION_FACTOR: "1" }),
        "WRITE_QUORUM must be 1 to REPLICATION_FACTOR"
      )
      assert.strictEqual((yield* load({ WRITE_QUORUM: "3", READ_QUORUM: "3" })).readQuorum, 3)
    }))

  it.effect("refuses what is not a whole number, and names the setting", () =>
    Effect.gen(function*() {
      for (const setting of ["REPLICATION_FACTOR", "WRITE_QUORUM", "READ_QUORUM"]) {
        for (const text of ["two", "1.5", "NaN", "0x2"]) {
          assert.include(yield* refusal({ [setting]: text }), setting)
        }
      }
    }))

  it("has defaults without a problem", () => assert.isUndefined(problem(defaults)))

  it.effect("takes other settings in tests", () =>
    Effect.gen(function*() {
      const settings: ClusterSettings = yield* ClusterConfig
      assert.deepStrictEqual(settings, { ...defaults, partitions: 8 })
    }).pipe(Effect.provide(ClusterConfig.layerTest({ partitions: 8 }))))
})
