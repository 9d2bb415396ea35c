import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Redacted } from "effect"
import { defaults, NodeConfig, type NodeSettings } from "../../src/config/NodeConfig.ts"
import { NodeId } from "../../src/domain/NodeId.ts"

const named = { NODE_ID: "node1", NODE_ADDR: "127.0.0.1:8081" }

const load = (env: Record<string, string>) =>
  Effect.service(NodeConfig).pipe(
    Effect.provide(NodeConfig.layer),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
  )

const refusal = (changes: Record<string, string>) =>
  Effect.map(Effect.flip(load({ ...named, ...changes })), (error) => error.message)

describe("NodeConfig", () => {
  it.effect("needs a name and an address, and has a default for everything else", () =>
    Effect.gen(function*() {
      const { clusterSecret, ...settings } = yield* load(named)
      assert.strictEqual(Redacted.value(clusterSecret), "")
      assert.deepStrictEqual(settings, {
        nodeId: NodeId.make("node1"),
        address: "127.0.0.1:8081",
        listen: "127.0.0.1:8081",
        seeds: [],
        dataDirectory: "data/node1",
        insecure: false,
        ...defaults
      })
    }))

  const rows: ReadonlyArray<readonly [variable: string, text: string, name: keyof NodeSettings, value: unknown]> = [
    ["NODE_ID", "eu-1", "nodeId", "eu-1"],
    ["NODE_ADDR", "rondo-1.internal:80", "address", "rondo-1.internal:80"],
    ["LISTEN", "0.0.0.0:8080", "listen", "0.0.0.0:8080"],
    ["PEERS", "rondo-2.internal:80, [fd00::3]:80 ,,", "seeds", ["rondo-2.internal:80", "[fd00::3]:80"]],
    ["DATA_DIR", "/var/lib/rondo", "dataDirectory", "/var/lib/rondo"],
    ["INSECURE", "true", "insecure", true],
    ["VNODES", "200", "vnodes", 200],
    ["FSYNC", "interval", "fsync", "interval"],
    ["GOSSIP_INTERVAL", "250 millis", "gossipInterval", Duration.millis(250)],
    ["REQUEST_TIMEOUT", "7000ms", "requestTimeout", Duration.seconds(7)],
    ["REPLICA_TIMEOUT", "1.5s", "replicaTimeout", Duration.millis(1500)],
    ["VALUE_BYTES_MAX", "100", "valueBytesMax", 100],
    ["REQUESTS_IN_FLIGHT_MAX", "10", "requestsInFlightMax", 10],
    ["HINTS_BYTES_MAX", "1000", "hintsBytesMaxPerPeer", 1000],
    ["HINT_WINDOW", "1 hour", "hintWindow", Duration.hours(1)],
    ["COMPARISON_INTERVAL", "10 minutes", "comparisonInterval", Duration.minutes(10)],
    ["MEMTABLE_BYTES_MAX", "2000", "memtableBytesMax", 2000],
    ["BLOCK_CACHE_BYTES_MAX", "3000", "blockCacheBytesMax", 3000],
    ["SCRUB_BYTES_PER_SECOND", "0", "scrubBytesPerSecond", 0],
    ["SALVAGE", "true", "salvage", true]
  ]
  it.effect("reads each setting from its variable", () =>
    Effect.gen(function*() {
      const environment = Object.fromEntries(rows.map(([variable, text]) => [variable, text]))
      const { clusterSecret, ...settings } = yield* load({ ...environment, CLUSTER_SECRET: "a secret" })
      assert.strictEqual(Redacted.value(clusterSecret), "a secret")
      assert.deepStrictEqual<unknown>(settings, Object.fromEntries(rows.map(([, , name, value]) => [name, value])))
    }))

  it.effect("does not start without a name or an address", () =>
    Effect.gen(function*() {
      assert.include((yield* Effect.flip(load({ NODE_ADDR: "127.0.0.1:8081" }))).message, "NODE_ID")
      assert.include((yield* Effect.flip(load({ NODE_ID: "node1" }))).message, "NODE_ADDR")
    }))

  const refused: ReadonlyArray<readonly [setting: string, text: string, expected: string]> = [
    ["NODE_ID", "a/b", "1 to 63 letters, digits, dots, dashes or underscores, the first a letter or digit"],
    ["NODE_ADDR", "localhost", "host:port, such as 127.0.0.1:8081"],
    ["NODE_ADDR", "http://a:1", "host:port"],
    ["LISTEN", "127.0.0.1:65536", "host:port"],
    ["PEERS", "127.0.0.1:8082,node3", "host:port, such as 127.0.0.1:8081; several are separated by commas"],
    ["INSECURE", "perhaps", "true or false"],
    ["FSYNC", "sometimes", "always, interval or never"],
    ["VNODES", "0", "a whole number, 1 to 10000"],
    ["VNODES", "-100", "a whole number"],
    ["VNODES", "10001", "a whole number"],
    ["VNODES", "1.5", "a whole number"],
    ["VALUE_BYTES_MAX", "1 MiB", "a whole number, 1 to 8388608"],
    ["VALUE_BYTES_MAX", "0", "a whole number"],
    ["VALUE_BYTES_MAX", "8388609", "a whole number"],
    ["REQUESTS_IN_FLIGHT_MAX", "0", "a whole number, 1 or more"],
    ["HINTS_BYTES_MAX", "-1", "a whole number, 1 or more"],
    ["MEMTABLE_BYTES_MAX", "1", "a whole number, 1024 or more"],
    ["BLOCK_CACHE_BYTES_MAX", "0", "a whole number, 1 or more"],
    ["SCRUB_BYTES_PER_SECOND", "-1", "a whole number, 0 or more"],
    ["GOSSIP_INTERVAL", "0 seconds", "a time above zero, such as \"500ms\", \"2s\", \"15m\" or \"2 hours\""],
    ["GOSSIP_INTERVAL", "fast", "a time above zero"],
    ["REQUEST_TIMEOUT", "-1 seconds", "a time above zero"],
    ["REPLICA_TIMEOUT", "Infinity", "a time above zero"],
    ["HINT_WINDOW", "0 millis", "a time above zero"],
    ["COMPARISON_INTERVAL", "0 millis", "a time above zero"]
  ]
  it.effect.each(refused)(
    "does not start with %s=%s: must be %s",
    ([setting, text, expected]) =>
      Effect.gen(function*() {
        const flag = setting.toLowerCase().replaceAll("_", "-")
        const message = yield* refusal({ [setting]: text })
        assert.include(message, `${setting} (--${flag}) is "${text}", but must be ${expected}`)
        assert.notInclude(message, "\n")
      })
  )

  it.effect.each([
    ...["127.0.0.1:8081", "127.8.9.10:1", "localhost:8081", "[::1]:8081"].map((LISTEN) => ({ LISTEN })),
    { LISTEN: "127.0.0.1:80", NODE_ADDR: "10.0.0.1:80" },
    { LISTEN: "0.0.0.0:1", CLUSTER_SECRET: "s" },
    { LISTEN: "0.0.0.0:1", INSECURE: "true" }
  ])(
    "listens on loopback without a secret, and elsewhere with one or when told that this is meant: %j",
    (changes) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* load({ ...named, ...changes })).listen, changes.LISTEN)
      })
  )

  const elsewhere = ["0.0.0.0:8081", "[::]:8081", "10.0.0.1:8081", "127.example.com:8081", "rondo:8081"]
  it.effect.each([
    ...elsewhere.map((LISTEN) => ({ LISTEN })),
    { LISTEN: "10.0.0.1:8081", CLUSTER_SECRET: "" },
    { LISTEN: "10.0.0.1:8081", INSECURE: "false" },
    { NODE_ADDR: "10.0.0.1:8081" }
  ])(
    "listens nowhere else without a secret, and says what to do about it: %j",
    (changes: Record<string, string>) =>
      Effect.gen(function*() {
        const message = yield* refusal(changes)
        const listen = changes["LISTEN"] ?? changes["NODE_ADDR"]
        assert.include(message, `CLUSTER_SECRET (--cluster-secret) is not set, but other machines can reach ${listen}`)
        assert.include(message, "INSECURE=true")
      })
  )

  it.effect("does not show the secret when it is printed", () =>
    Effect.gen(function*() {
      const settings = yield* load({ ...named, CLUSTER_SECRET: "hunter2" })
      assert.notInclude(JSON.stringify(settings) + String(settings.clusterSecret), "hunter2")
    }))
})
