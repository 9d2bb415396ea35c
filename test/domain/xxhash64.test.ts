import { assert, describe, it } from "@effect/vitest"
import { hash64, hashHigh, hashInto, stream } from "../../src/domain/xxhash64.ts"

/** Published for seed 0, by the reference implementation and its ports. */
const vectors: ReadonlyArray<readonly [text: string, hash: bigint]> = [
  ["", 0xef46db3751d8e999n],
  ["a", 0xd24ec4f1a98c6e5bn],
  ["abc", 0x44bc2cf5ad770999n],
  ["Nobody inspects the spammish repetition", 0xfbcea83c8a378bf1n]
]

describe("xxhash64", () => {
  for (const [text, hash] of vectors) {
    it(`hashes "${text}" as published`, () => assert.strictEqual(hash64(text), hash))
  }

  it("splits a hash into unsigned halves, the upper first", () => {
    const halves = new Uint32Array(2)
    for (const [text, hash] of vectors) {
      hashInto(text, halves)
      assert.strictEqual(BigInt(halves[0]!), hash >> 32n)
      assert.strictEqual(BigInt(halves[1]!), hash & 0xffff_ffffn)
      assert.strictEqual(BigInt(hashHigh(text)), hash >> 32n)
    }
  })

  it("hashes pieces as the text that they make, and continues after each digest", () => {
    const pieces = stream()
    for (const [text, hash] of [["", vectors[0]![1]], ["ab", hash64("ab")], ["c", vectors[2]![1]]] as const) {
      pieces.update(text)
      assert.strictEqual(pieces.digest(), hash)
    }
  })

  it("hashes the UTF-8 bytes, so that equal bytes and only they hash alike", () => {
    assert.notStrictEqual(hash64("é"), hash64("e\u0301"))
    assert.strictEqual(hash64("é"), hash64(Buffer.from([0xc3, 0xa9]).toString("utf8")))
  })
})
