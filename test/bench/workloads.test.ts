import { assert, describe, it } from "@effect/vitest"
import { byName, parseNames, workloads } from "../../bench/storage/workloads.ts"

describe("workloads", () => {
  it("are chosen by their names, with commas between them", () => {
    assert.deepStrictEqual(parseNames("scan, read-hot,"), new Set(["scan", "read-hot"] as const))
  })

  it("a name that is none of theirs is given back, so that it can be named", () => {
    assert.deepStrictEqual(parseNames("scan,read-hit"), { unknown: "read-hit" })
  })

  it("each is found by its name", () => {
    for (const workload of workloads) assert.strictEqual(byName(workload.name), workload)
  })
})
