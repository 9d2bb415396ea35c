import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Key from "../../src/domain/Key.ts"
import { brokenText, text } from "./arbitraries.ts"

const isKey = Schema.is(Key.Key)
const decode = Schema.decodeUnknownResult(Key.Key)

const refusal = (value: unknown): string => {
  const result = decode(value)
  return result._tag === "Failure" ? String(result.failure) : "accepted"
}

describe("Key", () => {
  it("has at least one byte", () => {
    assert.include(refusal(""), "a key must have 1 to 1024 bytes of UTF-8")
    assert.isTrue(isKey("a"))
    assert.isTrue(isKey("\0"))
  })

  it("has at most 1,024 bytes, counted in UTF-8 and not in characters", () => {
    assert.isTrue(isKey("a".repeat(1024)))
    assert.include(refusal("a".repeat(1025)), "1 to 1024 bytes")
    assert.isTrue(isKey("é".repeat(512)))
    assert.isFalse(isKey("é".repeat(512) + "a"))
    assert.isTrue(isKey("€".repeat(341) + "a"))
    assert.isFalse(isKey("€".repeat(342)))
    assert.isTrue(isKey("😀".repeat(256)))
    assert.isFalse(isKey("😀".repeat(257)))
  })

  it("refuses half of a surrogate pair, which has no UTF-8 bytes", () => {
    for (const broken of ["\ud83d", "a\ude00", "\ude00\ud83d", "\ud83d/"]) {
      assert.include(refusal(broken), "a key must be valid Unicode")
    }
    assert.isTrue(isKey("\ud83d\ude00"))
  })

  it.prop("is checked alike by the schema and by the plain call", [brokenText, text], ([broken, text]) => {
    for (const candidate of [broken, text, text.repeat(50), text.repeat(200)]) {
      assert.strictEqual(Key.isKey(candidate), isKey(candidate))
    }
  }, { arbitrary: { runs: 500 } })

  it.prop("orders texts as their UTF-8 bytes", [text, text], ([left, right]) => {
    assert.strictEqual(
      Math.sign(Key.compare(left, right)),
      Buffer.compare(Buffer.from(left, "utf8"), Buffer.from(right, "utf8"))
    )
  }, { arbitrary: { runs: 2000 } })

  it.prop("orders even texts with halves of pairs totally", [brokenText, brokenText, brokenText], ([a, b, c]) => {
    assert.strictEqual(Math.sign(Key.compare(a, b)), -Math.sign(Key.compare(b, a)) + 0)
    assert.strictEqual(Key.compare(a, b) === 0, a === b)
    if (Key.compare(a, b) <= 0 && Key.compare(b, c) <= 0) assert.isAtMost(Key.compare(a, c), 0)
  }, { arbitrary: { runs: 1000 } })

  it("puts characters above U+FFFF behind all others, where JavaScript's `<` does not", () => {
    const sorted = ["\uffff", "\u{10000}", "\ue000", "\ud7ff", "a"].toSorted(Key.compare)
    assert.deepStrictEqual(sorted, ["a", "\ud7ff", "\ue000", "\uffff", "\u{10000}"])
    assert.isTrue("\u{10000}" < "\ue000")
  })

  it("puts a text before every longer one that it begins", () => {
    assert.isBelow(Key.compare("", "\0"), 0)
    assert.isBelow(Key.compare("users/4", "users/42"), 0)
    assert.isAbove(Key.compare("users/42", "users/4"), 0)
  })
})
