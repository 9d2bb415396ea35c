import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Redacted } from "effect"
import { isLoopback, NodeConfig, parseAddress } from "../../src/config/NodeConfig.ts"
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
        vnodes: 100,
        fsync: "always",
        gossipInterval: Duration.seconds(2),
        requestTimeout: Duration.seconds(5),
        replicaTimeout: Duration.seconds(1),
        valueBytesMax: 1_048_576,
        requestsInFlightMax: 1024,
        hintsBytesMaxPerPeer: 134_217_728,
        hintWindow: Duration.hours(3),
        comparisonInterval: Duration.minutes(1),
        memtableBytesMax: 33_554_432,
        blockCacheBytesMax: 134_217_728,
        scrubBytesPerSecond: 4 * 1024 * 1024,
        salvage: false
      })
    }))

  it.effect("reads each setting from its variable", () =>
    Effect.gen(function*() {
      const { clusterSecret, ...settings } = yield* load({
        NODE_ID: "eu-1",
        NODE_ADDR: "rondo-1.internal:80",
        LISTEN: "0.0.0.0:8080",
        PEERS: "rondo-2.internal:80, [fd00::3]:80 ,,",
        DATA_DIR: "/var/lib/rondo",
        CLUSTER_SECRET: "a secret",
        VNODES: "200",
        FSYNC: "interval",
        GOSSIP_INTERVAL: "250 millis",
        REQUEST_TIMEOUT: "7 seconds",
        REPLICA_TIMEOUT: "2 seconds",
        VALUE_BYTES_MAX: "100",
        REQUESTS_IN_FLIGHT_MAX: "10",
        HINTS_BYTES_MAX: "1000",
        HINT_WINDOW: "1 hour",
        COMPARISON_INTERVAL: "10 minutes",
        MEMTABLE_BYTES_MAX: "2000",
        BLOCK_CACHE_BYTES_MAX: "3000",
        SCRUB_BYTES_PER_SECOND: "0",
        SALVAGE: "true"
      })
      assert.strictEqual(Redacted.value(clusterSecret), "a secret")
      assert.deepStrictEqual(settings, {
        nodeId: NodeId.make("eu-1"),
        address: "rondo-1.internal:80",
        listen: "0.0.0.0:8080",
        seeds: ["rondo-2.internal:80", "[fd00::3]:80"],
        dataDirectory: "/var/lib/rondo",
        vnodes: 200,
        fsync: "interval",
        gossipInterval: Duration.millis(250),
        requestTimeout: Duration.seconds(7),
        replicaTimeout: Duration.seconds(2),
        valueBytesMax: 100,
        requestsInFlightMax: 10,
        hintsBytesMaxPerPeer: 1000,
        hintWindow: Duration.hours(1),
        comparisonInterval: Duration.minutes(10),
        memtableBytesMax: 2000,
        blockCacheBytesMax: 3000,
        scrubBytesPerSecond: 0,
        salvage: true
      })
    }))

  it.effect("takes an empty variable for one that is not set", () =>
    Effect.gen(function*() {
      const names = ["LISTEN", "PEERS", "DATA_DIR", "CLUSTER_SECRET", "INSECURE", "VNODES", "FSYNC", "GOSSIP_INTERVAL"]
      const empty = yield* load({ ...named, ...Object.fromEntries(names.map((name) => [name, ""])) })
      assert.deepStrictEqual(
        { ...empty, clusterSecret: undefined },
        { ...(yield* load(named)), clusterSecret: undefined }
      )
    }))

  it.effect("does not start without a name or an address", () =>
    Effect.gen(function*() {
      assert.include((yield* Effect.flip(load({ NODE_ADDR: "127.0.0.1:8081" }))).message, "NODE_ID")
      assert.include((yield* Effect.flip(load({ NODE_ID: "node1" }))).message, "NODE_ADDR")
    }))

  const refused: ReadonlyArray<readonly [setting: string, text: string, reason: string]> = [
    ["NODE_ID", "a/b", "a node id has 1 to 63 letters, digits, dots, dashes or underscores"],
    ["NODE_ADDR", "localhost", `NODE_ADDR: "localhost" is not host:port, for example 127.0.0.1:8081`],
    ["NODE_ADDR", "http://a:1", `NODE_ADDR: "http://a:1" is not host:port`],
    ["LISTEN", "127.0.0.1:65536", `LISTEN: "127.0.0.1:65536" is not host:port`],
    ["PEERS", "127.0.0.1:8082,node3", `PEERS: "node3" is not host:port`],
    ["INSECURE", "perhaps", "INSECURE"],
    ["FSYNC", "sometimes", "FSYNC"],
    ["FSYNC", "sometimes", `"always" | "interval" | "never"`],
    ["VNODES", "0", "VNODES: must be 1 to 10000, not 0"],
    ["VNODES", "-100", "VNODES: must be 1 to 10000, not -100"],
    ["VNODES", "10001", "VNODES: must be 1 to 10000, not 10001"],
    ["VNODES", "1.5", "VNODES"],
    ["VALUE_BYTES_MAX", "1 MiB", "VALUE_BYTES_MAX"],
    ["VALUE_BYTES_MAX", "0", "VALUE_BYTES_MAX: must be 1 to 8388608, not 0"],
    ["VALUE_BYTES_MAX", "8388609", "VALUE_BYTES_MAX: must be 1 to 8388608, not 8388609"],
    ["REQUESTS_IN_FLIGHT_MAX", "0", "REQUESTS_IN_FLIGHT_MAX: must be 1 or more, not 0"],
    ["HINTS_BYTES_MAX", "-1", "HINTS_BYTES_MAX: must be 1 or more, not -1"],
    ["MEMTABLE_BYTES_MAX", "0", "MEMTABLE_BYTES_MAX: must be 1 or more, not 0"],
    ["BLOCK_CACHE_BYTES_MAX", "0", "BLOCK_CACHE_BYTES_MAX: must be 1 or more, not 0"],
    ["SCRUB_BYTES_PER_SECOND", "-1", "SCRUB_BYTES_PER_SECOND: must be 0 or more, not -1"],
    ["GOSSIP_INTERVAL", "0 seconds", "GOSSIP_INTERVAL: must be more than 0, not 0"],
    ["GOSSIP_INTERVAL", "fast", "GOSSIP_INTERVAL"],
    ["REQUEST_TIMEOUT", "-1 seconds", "REQUEST_TIMEOUT: must be more than 0"],
    ["REPLICA_TIMEOUT", "Infinity", "REPLICA_TIMEOUT: must be more than 0, not Infinity"],
    ["HINT_WINDOW", "0 millis", "HINT_WINDOW: must be more than 0, not 0"],
    ["COMPARISON_INTERVAL", "0 millis", "COMPARISON_INTERVAL: must be more than 0, not 0"]
  ]
  for (const [setting, text, reason] of refused) {
    it.effect(`does not start with ${setting}=${text}, and says: ${reason}`, () =>
      Effect.gen(function*() {
        const message = yield* refusal({ [setting]: text })
        assert.include(message, setting)
        assert.include(message, reason)
      }))
  }

  it.effect("listens on any loopback address without a secret", () =>
    Effect.gen(function*() {
      for (const listen of ["127.0.0.1:8081", "127.8.9.10:1", "localhost:8081", "[::1]:8081"]) {
        assert.strictEqual((yield* load({ ...named, LISTEN: listen })).listen, listen)
      }
    }))

  it.effect("listens on no other address without a secret, and says what to do about it", () =>
    Effect.gen(function*() {
      for (const listen of ["0.0.0.0:8081", "[::]:8081", "10.0.0.1:8081", "127.example.com:8081", "rondo:8081"]) {
        const message = yield* refusal({ LISTEN: listen })
        assert.include(message, `CLUSTER_SECRET: listening on ${listen} lets other machines in`)
        assert.include(message, "INSECURE=true")
        assert.include(yield* refusal({ LISTEN: listen, CLUSTER_SECRET: "" }), "CLUSTER_SECRET")
        assert.include(yield* refusal({ LISTEN: listen, INSECURE: "false" }), "CLUSTER_SECRET")
      }
    }))

  it.effect("looks at the address that it would listen on when only NODE_ADDR is given", () =>
    Effect.gen(function*() {
      assert.include(yield* refusal({ NODE_ADDR: "10.0.0.1:8081" }), "listening on 10.0.0.1:8081")
      assert.strictEqual(
        (yield* load({ ...named, NODE_ADDR: "10.0.0.1:80", LISTEN: "127.0.0.1:80" })).address,
        "10.0.0.1:80"
      )
    }))

  it.effect("listens on any address with a secret, or when told that this is meant", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* load({ ...named, LISTEN: "0.0.0.0:1", CLUSTER_SECRET: "s" })).listen, "0.0.0.0:1")
      assert.strictEqual((yield* load({ ...named, LISTEN: "0.0.0.0:1", INSECURE: "true" })).listen, "0.0.0.0:1")
    }))

  it.effect("does not show the secret when it is printed", () =>
    Effect.gen(function*() {
      const settings = yield* load({ ...named, CLUSTER_SECRET: "hunter2" })
      assert.notInclude(JSON.stringify(settings) + String(settings.clusterSecret), "hunter2")
    }))

  it("splits an address into host and port, with brackets around IPv6", () => {
    assert.deepStrictEqual(parseAddress("127.0.0.1:8081"), { host: "127.0.0.1", port: 8081 })
    assert.deepStrictEqual(parseAddress("node-1.example:0"), { host: "node-1.example", port: 0 })
    assert.deepStrictEqual(parseAddress("[::1]:65535"), { host: "::1", port: 65_535 })
    assert.deepStrictEqual(parseAddress("[fd00::A]:80"), { host: "fd00::A", port: 80 })
    const junk = [
      "",
      ":80",
      "a",
      "a:",
      "a:x",
      "a:-1",
      "a:65536",
      "a:999999",
      "::1:80",
      "[::1]",
      "[x]:80",
      "a b:80",
      "a/b:80",
      "a:80/"
    ]
    for (const text of junk) assert.isUndefined(parseAddress(text), text)
  })

  it("takes for loopback what only this machine can reach", () => {
    for (const host of ["localhost", "::1", "127.0.0.1", "127.255.255.254"]) assert.isTrue(isLoopback(host), host)
    for (const host of ["::", "0.0.0.0", "128.0.0.1", "1127.0.0.1", "127.0.0.1.example.com", "127.com", "example"]) {
      assert.isFalse(isLoopback(host), host)
    }
  })
})
