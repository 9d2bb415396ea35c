import { assert, describe, it } from "@effect/vitest"
import { parseSchedStat } from "../../bench/processorTime.ts"

describe("processorTime", () => {
  it("reads a thread's time on a processor, in microseconds", () => {
    assert.strictEqual(parseSchedStat("294472000 14858 2\n"), 294_472)
    assert.strictEqual(parseSchedStat("0 0 0"), 0)
  })

  it("reads nothing from another format", () => {
    assert.isUndefined(parseSchedStat(""))
    assert.isUndefined(parseSchedStat("294472 14858\n"))
  })
})
