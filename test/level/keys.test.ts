import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { compare } from "../../src/domain/Key.ts"
import * as keys from "../../src/level/keys.ts"

/** Mostly bytes at borders of the encoding, so that keys often share a prefix. */
const Byte = Schema.Union([
  Schema.Literals([0x00, 0x01, 0x41, 0x7f, 0x80, 0xc3, 0xff]),
  Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))
])
const Bytes = Schema.Array(Byte).check(Schema.isMaxLength(6))

const sign = (order: number) => Math.sign(order)

describe("keys of Level in the engine", () => {
  it.prop("are decoded as they were encoded", { bytes: Bytes }, ({ bytes }) => {
    const key = Uint8Array.from(bytes)
    assert.deepStrictEqual(keys.decode(keys.encode(key), "buffer"), Buffer.from(key))
    assert.deepStrictEqual(keys.decode(keys.encode(Buffer.from(key)), "view"), Buffer.from(key))
  }, { arbitrary: { runs: 1000 } })

  it.prop("of text are decoded as they were encoded, like the bytes of the text", { text: Schema.String }, (
    { text }
  ) => {
    const wellFormed = text.toWellFormed()
    assert.strictEqual(keys.decode(keys.encode(wellFormed), "utf8"), wellFormed)
    assert.strictEqual(keys.encode(text), keys.encode(Buffer.from(text, "utf8")))
  }, { arbitrary: { runs: 1000 } })

  it.prop("keep the order of their bytes", { left: Bytes, right: Bytes }, ({ left, right }) => {
    const [a, b] = [Uint8Array.from(left), Uint8Array.from(right)]
    assert.strictEqual(sign(compare(keys.encode(a), keys.encode(b))), sign(Buffer.compare(a, b)))
  }, { arbitrary: { runs: 2000 } })

  it.prop("have nothing between them and their successor", { left: Bytes, right: Bytes }, ({ left, right }) => {
    const [a, b] = [Uint8Array.from(left), Uint8Array.from(right)]
    assert.isAbove(compare(keys.successor(keys.encode(a)), keys.encode(a)), 0)
    if (Buffer.compare(a, b) >= 0) return
    assert.isAtMost(compare(keys.successor(keys.encode(a)), keys.encode(b)), 0)
  }, { arbitrary: { runs: 2000 } })

  it("stay readable when they are ASCII, and are never empty", () => {
    assert.strictEqual(keys.encode("users/42"), "users/42")
    assert.strictEqual(keys.encode("!sub!key"), "!sub!key")
    assert.strictEqual(keys.encode(""), "\u0000")
    assert.strictEqual(keys.encode(Uint8Array.of(0)), "\u0000\u0000")
    assert.strictEqual(keys.encode("é"), "\u00c3\u00a9")
  })

  it("fit up to 1,024 bytes, those of 0x80 and above counting twice, and a leading zero as well", () => {
    assert.isDefined(keys.encodeKey("a".repeat(1024)))
    assert.isUndefined(keys.encodeKey("a".repeat(1025)))
    assert.isDefined(keys.encodeKey(Buffer.alloc(512, 0xff)))
    assert.isUndefined(keys.encodeKey(Buffer.alloc(513, 0xff)))
    assert.isDefined(keys.encodeKey(Buffer.alloc(1023)))
    assert.isUndefined(keys.encodeKey(Buffer.alloc(1024)))
    assert.include(keys.tooLong(Buffer.alloc(513, 0xff)), "1026")
  })
})
