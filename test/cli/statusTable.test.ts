import { assert, describe, it } from "@effect/vitest"
import * as statusTable from "../../src/cli/statusTable.ts"
import { cluster, health } from "./pages.ts"

describe("statusTable", () => {
  it("shows members, quorums and storage in columns", () => {
    assert.deepStrictEqual(statusTable.render(cluster, health, 10_000).split("\n"), [
      "degraded: 1024 of 1024 partitions have a quorum, 0 have all replicas",
      "N = 3, W = 2, R = 2, ring epoch 3",
      "",
      "node     address         state  heard     partitions  share   hints for it  comparison",
      "node1 *  127.0.0.1:8081  up     -         1024        33.1 %  -             -",
      "node2    127.0.0.1:8082  down   10 s ago  1024        33.4 %  1,200         failed",
      "node3    127.0.0.1:8083  up     now       1024        33.5 %  0             in-sync",
      "",
      "* asked. It holds 2 tables (1.5 KiB), a log of 20 MiB and 1,234 cells in memory, and takes writes."
    ])
  })

  it("says why writes are refused and that the node is recovering", () => {
    const text = statusTable.render(
      cluster,
      { ...health, recovering: true, storage: { ...health.storage, writable: false, refusing: "no space left" } },
      10_000
    )
    assert.include(text, "refuses writes: no space left.")
    assert.include(text, "It is recovering")
  })

  it("writes sizes for people", () => {
    assert.deepStrictEqual([0, 1023, 1024, 1536, 20 * 1024 ** 2, 3 * 1024 ** 5].map(statusTable.bytes), [
      "0 B",
      "1023 B",
      "1.0 KiB",
      "1.5 KiB",
      "20 MiB",
      "3072 TiB"
    ])
  })
})
