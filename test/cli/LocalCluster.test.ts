import { assert, describe, it } from "@effect/vitest"
import * as LocalCluster from "../../src/cli/LocalCluster.ts"

const options = (overrides?: Partial<LocalCluster.Options>): LocalCluster.Options => ({
  nodes: 3,
  basePort: 8081,
  dataDirectory: "./data",
  program: "/home/ada/rondo/bin/rondo",
  currentDirectory: "/home/ada/rondo",
  environment: {},
  ...overrides
})

describe("LocalCluster", () => {
  it("gives each node its name, address, data and all peers", () => {
    const { nodes } = LocalCluster.plan(options())
    assert.deepStrictEqual(
      nodes.map(({ settings }) => settings),
      [1, 2, 3].map((number) => ({
        NODE_ID: `node${number}`,
        NODE_ADDR: `127.0.0.1:${8080 + number}`,
        PEERS: "127.0.0.1:8081,127.0.0.1:8082,127.0.0.1:8083",
        DATA_DIR: `./data/node${number}`
      }))
    )
  })

  it("keeps as many copies as there are nodes when they are fewer than three, unless told otherwise", () => {
    const settingsOf = (overrides: Partial<LocalCluster.Options>) =>
      LocalCluster.plan(options(overrides)).nodes[0]!.settings
    assert.include(settingsOf({ nodes: 1 }), { REPLICATION_FACTOR: "1", WRITE_QUORUM: "1", READ_QUORUM: "1" })
    assert.include(settingsOf({ nodes: 2 }), { REPLICATION_FACTOR: "2", WRITE_QUORUM: "2", READ_QUORUM: "2" })
    assert.notProperty(settingsOf({ nodes: 3 }), "REPLICATION_FACTOR")
    assert.include(settingsOf({ nodes: 1, environment: { REPLICATION_FACTOR: "3" } }), { REPLICATION_FACTOR: "3" })
  })

  it("passes secret and tunables on, and no other node's name or address", () => {
    const [node] = LocalCluster.plan(options()).nodes
    const environment = LocalCluster.environmentOf(node!, {
      CLUSTER_SECRET: "s",
      FSYNC: "never",
      NODE_ID: "other",
      LISTEN: "0.0.0.0:1"
    })
    assert.include(environment, { CLUSTER_SECRET: "s", FSYNC: "never", NODE_ID: "node1", LISTEN: "127.0.0.1:8081" })
  })

  it("says how to bring a node back in one line with short paths", () => {
    const plan = LocalCluster.plan(options())
    assert.strictEqual(
      LocalCluster.startCommand(plan, plan.nodes[1]!),
      "NODE_ID=node2 NODE_ADDR=127.0.0.1:8082 PEERS=127.0.0.1:8081,127.0.0.1:8082,127.0.0.1:8083 " +
        "DATA_DIR=data/node2 bin/rondo serve"
    )
  })

  it("brings a node back with the settings that its peers insist on", () => {
    const plan = LocalCluster.plan(options({ environment: { WRITE_QUORUM: "3", FSYNC: "never" } }))
    assert.include(
      LocalCluster.startCommand(plan, plan.nodes[0]!),
      "DATA_DIR=data/node1 WRITE_QUORUM=3 bin/rondo serve"
    )
  })

  it("quotes what a shell would take apart and keeps paths outside whole", () => {
    const plan = LocalCluster.plan(options({ dataDirectory: "/tmp/it's here/", currentDirectory: "/home" }))
    const command = LocalCluster.startCommand(plan, plan.nodes[0]!)
    assert.include(command, "DATA_DIR='/tmp/it'\\''s here/node1'")
    assert.isTrue(command.endsWith("ada/rondo/bin/rondo serve"))
  })

  it("tells which ports are taken and what to do", () => {
    assert.strictEqual(
      LocalCluster.portsTakenMessage([8082], options()),
      "port 8082 on this machine is in use, maybe by another rondo up (lsof -i :8082 shows it). " +
        "Stop it, or choose other ports: rondo up --base-port 9081"
    )
    assert.include(
      LocalCluster.portsTakenMessage([8081, 8083], options()),
      "ports 8081, 8083 on this machine are in use"
    )
  })

  it("greets with the addresses, a request to try, and where the data is", () => {
    const plan = LocalCluster.plan(options())
    const pids = new Map(plan.nodes.map(({ id }, index) => [id, 100 + index]))
    const message = LocalCluster.startMessage(plan, pids, new Set(["node1", "node2", "node3"]))
    for (
      const part of [
        "3 nodes on this machine",
        "node3  http://localhost:8083  data in data/node3  process 102",
        "http://localhost:8081/docs",
        "curl -X PUT --data hello http://localhost:8081/kv/greeting",
        "curl http://localhost:8082/kv/greeting",
        "Ctrl-C"
      ]
    ) assert.include(message, part)
    assert.notInclude(LocalCluster.startMessage(plan, pids, new Set(["node2"])), "node1")
  })

  it("marks lines with the node, in its colour only on a terminal", () => {
    const plan = LocalCluster.plan(options({ nodes: 10 }))
    assert.strictEqual(LocalCluster.prefix(plan, plan.nodes[0]!, false), "node1  | ")
    assert.strictEqual(LocalCluster.prefix(plan, plan.nodes[9]!, false), "node10 | ")
    assert.match(LocalCluster.prefix(plan, plan.nodes[0]!, true), /^\x1b\[36mnode1 {2}\| \x1b\[0m$/)
  })
})
