import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { binaryType, decode, encode, textType } from "../../src/cli/record.ts"

const reason = (line: string) => Result.getOrThrow(Result.flip(decode(line)))

describe("record", () => {
  it.prop("decoding undoes encoding, byte for byte", {
    key: Schema.NonEmptyString.check(Schema.isMaxLength(200)),
    bytes: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))),
    contentType: Schema.Literals([textType, binaryType, "image/png"])
  }, ({ bytes, contentType, key: drawn }) => {
    const key = drawn.toWellFormed()
    const line = encode({ key, bytes: Uint8Array.from(bytes), contentType })
    assert.notInclude(line, "\n")
    const decoded = Result.getOrThrow(decode(line))
    assert.strictEqual(decoded.key, key)
    assert.strictEqual(decoded.contentType, contentType)
    assert.deepStrictEqual(Array.from(decoded.bytes), bytes)
  })

  it("reads text as UTF-8 and base64 as bytes", () => {
    const text = Result.getOrThrow(decode(`{"key":"a","value":"né"}`))
    assert.deepStrictEqual(Array.from(text.bytes), [0x6e, 0xc3, 0xa9])
    assert.strictEqual(text.contentType, textType)
    const binary = Result.getOrThrow(decode(`{"key":"a","value":"/wA=","encoding":"base64"}`))
    assert.deepStrictEqual(Array.from(binary.bytes), [0xff, 0x00])
    assert.strictEqual(binary.contentType, binaryType)
  })

  it("keeps text readable and writes other bytes as base64", () => {
    assert.strictEqual(
      encode({ key: "a", bytes: Buffer.from("hi"), contentType: textType }),
      `{"key":"a","value":"hi"}`
    )
    assert.strictEqual(
      encode({ key: "a", bytes: Buffer.from([0xff]), contentType: "image/png" }),
      `{"key":"a","value":"/w==","encoding":"base64","contentType":"image/png"}`
    )
  })

  it("says what is wrong with a line", () => {
    assert.strictEqual(reason("{"), "not JSON")
    assert.strictEqual(reason("[]"), "not a JSON object")
    assert.strictEqual(reason("null"), "not a JSON object")
    assert.include(reason(`{"value":"x"}`), `"key" must be a string`)
    assert.include(reason(`{"key":"","value":"x"}`), "1 to 1024 bytes")
    assert.include(reason(`{"key":"${"k".repeat(1025)}","value":"x"}`), "1 to 1024 bytes")
    assert.include(reason(`{"key":"a","value":1}`), `"value" must be a string`)
    assert.include(reason(`{"key":"a","value":"x","encoding":"hex"}`), `"encoding"`)
    assert.include(reason(`{"key":"a","value":"x","contentType":"a\\nb"}`), `"contentType"`)
    assert.include(reason(`{"key":"a","value":"/w=","encoding":"base64"}`), "not base64")
    assert.include(reason(`{"key":"a","value":"\\ud800"}`), "not valid Unicode")
  })

  it("takes a key of the greatest length", () => {
    assert.isTrue(Result.isSuccess(decode(`{"key":"${"k".repeat(1024)}","value":""}`)))
  })
})
