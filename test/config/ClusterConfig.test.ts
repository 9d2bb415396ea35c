import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { ClusterConfig, defaults, differences } from "../../src/config/ClusterConfig.ts"

const load = (env: Record<string, string>) =>
  Effect.service(ClusterConfig).pipe(
    Effect.provide(ClusterConfig.layer),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
  )

describe("ClusterConfig", () => {
  const variables = ["REPLICATION_FACTOR", "WRITE_QUORUM", "READ_QUORUM"] as const
  it.effect.each<readonly [given: readonly [string, string, string], settings: readonly [number, number, number]]>([
    [["", "", ""], [3, 2, 2]],
    [["5", "4", "1"], [5, 4, 1]],
    [["1", "1", "1"], [1, 1, 1]],
    [["16", "16", "16"], [16, 16, 16]]
  ])("reads N, W and R of %j as %j", ([given, [replicationFactor, writeQuorum, readQuorum]]) =>
    Effect.gen(function*() {
      const settings = yield* load(Object.fromEntries(variables.map((name, index) => [name, given[index]!])))
      assert.deepStrictEqual(settings, { replicationFactor, writeQuorum, readQuorum, partitions: 1024 })
    }))

  it.effect("keeps three copies and waits for two of them by default", () =>
    Effect.gen(function*() {
      const settings = { replicationFactor: 3, writeQuorum: 2, readQuorum: 2, partitions: 1024 }
      assert.deepStrictEqual([yield* load({}), defaults], [settings, settings])
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
  it.effect.each(refused)("refuses %j: %s", ([environment, reason]) =>
    Effect.gen(function*() {
      assert.include((yield* Effect.flip(load(environment))).message, reason)
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
})
