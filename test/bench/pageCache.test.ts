import { assert, describe, it } from "@effect/vitest"
import { isCold, parseResidency } from "../../bench/storage/pageCache.ts"

describe("pageCache", () => {
  it("adds up what fincore says of each file, and passes over other lines", () => {
    assert.deepStrictEqual(parseResidency("   4096  8192\n12288 12288\nRES SIZE\n\n"), {
      residentBytes: 16_384,
      sizeBytes: 20_480
    })
  })

  it("takes files for cold while hardly any of them is in memory", () => {
    assert.isTrue(isCold({ residentBytes: 0, sizeBytes: 0 }))
    assert.isTrue(isCold({ residentBytes: 2, sizeBytes: 100 }))
    assert.isFalse(isCold({ residentBytes: 3, sizeBytes: 100 }))
  })
})
