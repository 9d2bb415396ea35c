import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { variables } from "../../src/cli/settings.ts"
import * as ClusterConfig from "../../src/config/ClusterConfig.ts"
import * as NodeConfig from "../../src/config/NodeConfig.ts"

const root = new URL("../../", import.meta.url)
const read = (path: string) => readFileSync(new URL(path, root), "utf8")
const readme = read("README.md")

/** The cells of each row of the tables under this heading. */
const rowsUnder = (heading: string): ReadonlyArray<ReadonlyArray<string>> =>
  readme.split(`${heading}\n`)[1]!.split(/\n##/)[0]!.split("\n")
    .filter((line) => /^\| [`\d]/.test(line))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim().replaceAll("`", "")))

const defaults: Readonly<Record<string, number | string | Duration.Duration>> = {
  NODE_ID: "(required)",
  NODE_ADDR: "(required)",
  LISTEN: "NODE_ADDR",
  PEERS: "(none)",
  DATA_DIR: "data/NODE_ID",
  CLUSTER_SECRET: "(empty)",
  INSECURE: "false",
  REPLICATION_FACTOR: ClusterConfig.defaults.replicationFactor,
  WRITE_QUORUM: ClusterConfig.defaults.writeQuorum,
  READ_QUORUM: ClusterConfig.defaults.readQuorum,
  FSYNC: NodeConfig.defaults.fsync,
  VNODES: NodeConfig.defaults.vnodes,
  GOSSIP_INTERVAL: NodeConfig.defaults.gossipInterval,
  REQUEST_TIMEOUT: NodeConfig.defaults.requestTimeout,
  REPLICA_TIMEOUT: NodeConfig.defaults.replicaTimeout,
  VALUE_BYTES_MAX: NodeConfig.defaults.valueBytesMax,
  REQUESTS_IN_FLIGHT_MAX: NodeConfig.defaults.requestsInFlightMax,
  HINTS_BYTES_MAX: NodeConfig.defaults.hintsBytesMaxPerPeer,
  HINT_WINDOW: NodeConfig.defaults.hintWindow,
  COMPARISON_INTERVAL: NodeConfig.defaults.comparisonInterval,
  MEMTABLE_BYTES_MAX: NodeConfig.defaults.memtableBytesMax,
  BLOCK_CACHE_BYTES_MAX: NodeConfig.defaults.blockCacheBytesMax,
  SCRUB_BYTES_PER_SECOND: NodeConfig.defaults.scrubBytesPerSecond,
  SALVAGE: String(NodeConfig.defaults.salvage),
  LOG_LEVEL: "info",
  LOG_FORMAT: "human"
}

describe("the README", () => {
  const settings = rowsUnder("## Configuration")

  it("lists every setting that a node reads", () => {
    assert.deepStrictEqual(settings.map(([variable]) => variable!).toSorted(), variables.toSorted())
  })

  it("names the default of each setting", () => {
    for (const [variable, text] of settings) {
      const actual = defaults[variable!]
      if (Duration.isDuration(actual)) {
        const named = Duration.fromInputUnsafe(text as Duration.Input)
        assert.strictEqual(Duration.toMillis(named), Duration.toMillis(actual), variable)
      } else assert.strictEqual(text, String(actual), variable)
    }
  })

  it("lists every kind of refusal with its status", () => {
    const rows = rowsUnder("### When the answer is no").map(([status, tag]) => `${status} ${tag}`)
    const kinds = Array.from(
      read("src/api/Problem.ts").matchAll(/\("(\w+)", \{\s*type: "[^"]*",\s*status: (\d+)/g),
      ([, tag, status]) => `${status} ${tag}`
    )
    assert.isAbove(kinds.length, 10)
    assert.deepStrictEqual(rows.toSorted(), kinds.toSorted())
  })
})

describe("links between pages", () => {
  it("lead to files that exist", () => {
    for (const page of ["README.md", "ARCHITECTURE.md", "docs/decisions/README.md"]) {
      for (const [, target] of read(page).matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
        assert.isTrue(existsSync(new URL(target!, new URL(page, root))), `${page} links to ${target}`)
      }
    }
  })
})
