import { assert, describe, it } from "@effect/vitest"
import * as SeededRandom from "../../src/domain/SeededRandom.ts"

const drawn = ({ below }: SeededRandom.SeededRandom) => Array.from({ length: 4 }, () => below(1000))

describe("SeededRandom", () => {
  it("draws what it always drew from a seed, so that the seeds kept in tests stay valid", () => {
    assert.deepStrictEqual(drawn(SeededRandom.make(42)), [177, 631, 494, 875])
    assert.deepStrictEqual(drawn(SeededRandom.make(42).fork("disk")), [163, 348, 68, 885])
  })

  it("gives a fork the same stream, however much was drawn before", () => {
    const random = SeededRandom.make(7)
    const first = drawn(random.fork("a"))
    random.next()
    assert.deepStrictEqual(drawn(random.fork("a")), first)
    assert.notDeepEqual(drawn(random.fork("b")), first)
  })
})
