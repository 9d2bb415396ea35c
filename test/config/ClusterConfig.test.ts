import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { ClusterConfig, type ClusterSettings, defaults, differences } from "../../src/config/ClusterConfig.ts"

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

  const refused: ReadonlyArray<readonly [environment: Record<string, string>, reason: string]> = [
    [
      { REPLICATION_FACTOR: "0" },
      "REPLICATION_FACTOR (--replication-factor) is \"0\", but must be a whole number, 1 to 16"
    ],
    [{ REPLICATION_FACTOR: "17" }, "REPLICATION_FACTOR (--replication-factor) is \"17\", but must be"],
    [{ WRITE_QUORUM: "0" }, "WRITE_QUORUM (--write-quorum) is \"0\", but must be a whole number, 1 or more"],
    [
      { WRITE_QUORUM: "4" },
      "WRITE_QUORUM (--write-quorum) is \"4\", but must be at most REPLICATION_FACTOR, which is 3"
    ],
    [{ READ_QUORUM: "0" }, "READ_QUORUM (--read-quorum) is \"0\", but must be a whole number, 1 or more"],
    [{ READ_QUORUM: "4" }, "READ_QUORUM (--read-quorum) is \"4\", but must be at most REPLICATION_FACTOR, which is 3"],
    [
      { REPLICATION_FACTOR: "1" },
      "READ_QUORUM (--read-quorum) is \"2\", but must be at most REPLICATION_FACTOR, which is 1"
    ],
    ...["two", "1.5", "NaN", "0x2"].map((text) => [{ READ_QUORUM: text }, `is "${text}", but must be a whole`] as const)
  ]
  for (const [environment, reason] of refused) {
    it.effect(`refuses ${JSON.stringify(environment)}: ${reason}`, () =>
      Effect.gen(function*() {
        assert.include(yield* refusal(environment), reason)
      }))
  }

  it.effect("takes the least and the most", () =>
    Effect.gen(function*() {
      const least = { REPLICATION_FACTOR: "1", WRITE_QUORUM: "1", READ_QUORUM: "1" }
      assert.strictEqual((yield* load(least)).replicationFactor, 1)
      const most = yield* load({ REPLICATION_FACTOR: "16", WRITE_QUORUM: "16", READ_QUORUM: "16" })
      assert.deepStrictEqual(most, { replicationFactor: 16, writeQuorum: 16, readQuorum: 16, partitions: 1024 })
    }))

  it("says where two nodes differ, setting by setting", () => {
    const left = { nodeId: "node1", settings: defaults }
    assert.deepStrictEqual(differences(left, { nodeId: "node2", settings: defaults }), [])
    const settings = { replicationFactor: 5, writeQuorum: 3, readQuorum: 1, partitions: 8 }
    assert.deepStrictEqual(differences(left, { nodeId: "node2", settings }), [
      "REPLICATION_FACTOR is 3 on node1 and 5 on node2",
      "WRITE_QUORUM is 2 on node1 and 3 on node2",
      "READ_QUORUM is 2 on node1 and 1 on node2",
      "the number of partitions is 1024 on node1 and 8 on node2"
    ])
  })

  it.effect("takes other settings in tests", () =>
    Effect.gen(function*() {
      const settings: ClusterSettings = yield* ClusterConfig
      assert.deepStrictEqual(settings, { ...defaults, partitions: 8 })
    }).pipe(Effect.provide(ClusterConfig.layerTest({ partitions: 8 }))))
})
