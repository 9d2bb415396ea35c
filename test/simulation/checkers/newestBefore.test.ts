import { assert, describe, it } from "@effect/vitest"
import * as SeededRandom from "../../../src/domain/SeededRandom.ts"
import * as Version from "../../../src/domain/Version.ts"
import { byBeginning, keyHistories, newest, type Stamped } from "../../../src/simulation/checkers/KeyHistory.ts"
import { forEachWithNewestBefore } from "../../../src/simulation/checkers/newestBefore.ts"
import { put, run } from "./histories.ts"

/** By all pairs. */
const expected = (earlier: ReadonlyArray<Stamped>, each: Stamped): Stamped | undefined =>
  newest(
    earlier.filter(({ operation: { ended, quorum } }) =>
      ended < each.operation.began && quorum + each.operation.quorum > 3
    )
  )

describe("the newest that an operation must know of", () => {
  it("is what all pairs say, on 300 seeds", () => {
    for (let seed = 0; seed < 300; seed++) {
      const random = SeededRandom.make(seed)
      const history = run(Array.from({ length: random.below(30) }, (_, index) => {
        const began = random.below(60)
        return put(`${index}`, [began, began + 1 + random.below(15)], 1 + random.below(40), {
          quorum: 1 + random.below(5)
        })
      }))
      for (const { acknowledged } of keyHistories(history)) {
        const found = new Map<Stamped, Stamped>()
        forEachWithNewestBefore(history, acknowledged, acknowledged.toSorted(byBeginning), (each, before) => {
          found.set(each, before)
        })
        for (const each of acknowledged) {
          const [left, right] = [found.get(each)?.version, expected(acknowledged, each)?.version]
          assert.isTrue(
            left === undefined || right === undefined ? left === right : Version.compare(left, right) === 0,
            `seed ${seed}, operation ${each.operation.value}: ${left?.counter} instead of ${right?.counter}`
          )
        }
      }
    }
  })
})
