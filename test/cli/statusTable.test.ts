import { assert, describe, it } from "@effect/vitest"
import * as statusTable from "../../src/cli/statusTable.ts"
import { cluster, health } from "./pages.ts"

describe("statusTable", () => {
  it("shows members, quorums and storage in columns", () => {
    const { replicator } = cluster
    // What was in sync with a node that is down need not be so now.
    const comparisons = [...replicator.comparisons, { ...replicator.comparisons[0]!, peer: cluster.members[1]!.id }]
    const view = { ...cluster, replicator: { ...replicator, comparisons } }
    assert.deepStrictEqual(statusTable.render(view, health, 10_000).split("\n"), [
      "degraded: 4 of 4 partitions have a quorum, 0 have all replicas",
      "N = 3, W = 2, R = 2, ring epoch 3",
      "",
      "node   address         state  heard     partitions  share   hints for it  comparison",
      "node1  127.0.0.1:8081  up     -         4           50.0 %  -             -",
      "node2  127.0.0.1:8082  down   10 s ago  4           25.0 %  1,200         -",
      "node3  127.0.0.1:8083  up     now       4           25.0 %  0             in sync",
      "",
      "node1 (answering): 2 tables (4.9 KiB), 20 MiB log, 1,234 cells in memory, writable"
    ])
  })

  it("says why writes are refused and that the node is recovering", () => {
    const text = statusTable.render(
      cluster,
      { ...health, recovering: true, storage: { ...health.storage, writable: false, refusing: "no space left" } },
      10_000
    )
    assert.include(text, "in memory, refuses writes: no space left\n")
    assert.include(text, "Recovering: the data directory is new")
  })

  it("says how far the scrub is and what it found", () => {
    const lastLine = (scrub: NonNullable<typeof health.storage.scrub>, nowMillis: number) =>
      statusTable.render(cluster, { ...health, storage: { ...health.storage, scrub } }, nowMillis).split("\n").at(-1)
    assert.strictEqual(
      lastLine({ running: true, bytesDone: 512, bytesTotal: 1536, passes: 0, damaged: 0 }, 0),
      "Scrub: 0 passes; now at 512 B of 1.5 KiB; 0 damaged places found."
    )
    const rests = { running: false, bytesDone: 1536, bytesTotal: 1536, passes: 1, damaged: 1, lastPassEndedAtMillis: 0 }
    const times = { "599 s": 599_000, "10 min": 600_000, "599 min": 35_940_000, "10 h": 36_000_000 }
    for (const [text, millis] of Object.entries(times)) {
      assert.strictEqual(
        lastLine(rests, millis),
        `Scrub: 1 pass, the last ended ${text} ago; 1 damaged place found.`
      )
    }
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
