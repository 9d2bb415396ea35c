import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { crc32 } from "node:zlib"
import * as Bytes from "../../src/domain/bytes.ts"
import { node } from "../../src/domain/bytesNode.ts"
import { portable } from "../../src/domain/bytesPortable.ts"
import { brokenText, bytes, text } from "./arbitraries.ts"

/** Sequences of UTF-8 at the edges of what is valid, whole, cut, too long and of surrogates. */
const sequences = [
  "61",
  "c3a9",
  "efbbbf",
  "ed9fbf",
  "eda080",
  "f48fbfbf",
  "f4908080",
  "f09f98",
  "c080",
  "80",
  "e0a0",
  "ff"
]

const nearlyUtf8: Arbitrary.Arbitrary<Uint8Array> = Arbitrary.map(
  Arbitrary.array(Arbitrary.schema(Schema.Literals(sequences)), { maxLength: 6 }),
  (parts) => new Uint8Array(Buffer.from(parts.join(""), "hex"))
)

const anyBytes = Arbitrary.map(
  Arbitrary.all({ bytes, nearlyUtf8, isNearly: Arbitrary.schema(Schema.Boolean) }),
  ({ bytes, isNearly, nearlyUtf8 }) => isNearly ? nearlyUtf8 : bytes
)

/** Few different ones, so that one often occurs in the other. */
const letters = Arbitrary.map(
  Arbitrary.array(Arbitrary.schema(Schema.Literals([0, 1, 255])), { maxLength: 12 }),
  (values) => Uint8Array.from(values)
)

const natural = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 44 })))

const many = { arbitrary: { runs: 1000 } }

/** Both implementations must return the same; a call that writes returns the memory too. */
const same = (call: (bytes: typeof portable) => unknown) =>
  assert.deepStrictEqual(plain(call(portable)), plain(call(node!)))

const plain = (result: unknown) => result instanceof Uint8Array ? Array.from(result) : result

describe("bytes, portable and of Node", () => {
  it.prop("agree whether bytes are UTF-8, and on the text of any range", [anyBytes, natural, natural], (given) => {
    const [bytes, from, to] = given
    const start = Math.min(from, to, bytes.length)
    const end = Math.min(Math.max(from, to), bytes.length)
    same(({ isUtf8 }) => isUtf8(bytes))
    same(({ utf8 }) => utf8(bytes, start, end))
    same(({ latin1 }) => latin1(bytes, start, end))
  }, many)

  it.prop(
    "agree on the bytes of any text, its lone surrogates and what does not fit too",
    [text, brokenText, natural],
    ([
      whole,
      broken,
      sizeBytes
    ]) => {
      for (const text of [whole, broken, whole + broken]) {
        same(({ fromUtf8 }) => fromUtf8(text))
        same(({ utf8Length }) => utf8Length(text))
        same(({ crc32 }) => crc32(text))
        const target = () => new Uint8Array(sizeBytes + 1).fill(7)
        same(({ writeUtf8 }) => {
          const written = target()
          return [writeUtf8(written, text, 1), ...written]
        })
      }
    },
    many
  )

  it.prop("agree on one-byte texts and on base64, which can be undone", [anyBytes, natural], ([
    bytes,
    sizeBytes
  ]) => {
    const text = Buffer.from(bytes).toString("latin1")
    same(({ writeLatin1 }) => {
      const written = new Uint8Array(sizeBytes + 1).fill(7)
      return [writeLatin1(written, text, 1), ...written]
    })
    same(({ toBase64 }) => toBase64(bytes))
    for (const { fromBase64, toBase64 } of [portable, node!]) {
      assert.deepStrictEqual(plain(fromBase64(toBase64(bytes))), plain(bytes))
      assert.isTrue(fromBase64(text) instanceof Uint8Array, "it never fails")
    }
  }, many)

  it.prop("agree on order, place, checksum, copies and joins", [letters, letters, natural], ([left, right, at]) => {
    const wanted = right.subarray(0, 1 + at % 3)
    same(({ compare }) => compare(left, right))
    same(({ compare }) => compare(left, left.slice()))
    same(({ crc32 }) => crc32(left))
    same(({ concat }) => concat([left, right, left]))
    if (wanted.length > 0) same(({ indexOf }) => indexOf(left, wanted, at % 13))
    same(({ copy }) => {
      const target = new Uint8Array(60)
      copy(left, target, at, Math.min(1, left.length), left.length)
      return target
    })
  }, many)

  it("agree on long ones", () => {
    const bytes = Uint8Array.from({ length: 20_000 }, (_, index) => index * 31)
    same(({ latin1 }) => latin1(bytes, 3, bytes.length - 3))
    same(({ crc32 }) => crc32(bytes))
    same(({ toBase64 }) => toBase64(bytes))
  })
})

describe("bytes", () => {
  it("are of one kind in Node, and a view shares the memory of the given bytes", () => {
    const given = Uint8Array.of(1, 2, 3).subarray(1)
    const views = [Bytes.allocate(1), Bytes.allocateOwn(1), Bytes.none, Bytes.view(given), Bytes.copyOf(given)]
    for (const bytes of views) assert.isTrue(Buffer.isBuffer(bytes))
    Bytes.view(given)[1] = 9
    assert.deepStrictEqual(plain(given), [2, 9])
    assert.notStrictEqual(Bytes.allocateOwn(1).buffer, Bytes.allocateOwn(1).buffer)
  })

  it("hold numbers with the lowest byte first, as Node reads them", () => {
    const bytes = Buffer.alloc(20)
    for (const value of [0, 1, 0x80, 0x1234, 0xffff, 0xffff_fffe, 2 ** 53 - 1, 0.1, -0]) {
      Bytes.putUint16(bytes, value, 1)
      Bytes.putUint32(bytes, value, 4)
      Bytes.putDouble(bytes, value, 9)
      assert.strictEqual(Bytes.uint16At(bytes, 1), bytes.readUInt16LE(1))
      assert.strictEqual(Bytes.uint32At(bytes, 4), bytes.readUInt32LE(4))
      assert.strictEqual(Bytes.doubleAt(bytes, 9), bytes.readDoubleLE(9))
      assert.strictEqual(Bytes.uint32At(bytes, 4), value >>> 0)
      assert.strictEqual(Bytes.doubleAt(bytes, 9), value)
    }
  })

  it("have the checksum of zlib", () => {
    assert.strictEqual(Bytes.crc32("123456789"), 0xcbf43926)
    assert.strictEqual(Bytes.crc32, crc32)
  })

  it("are copied, compared and read in part", () => {
    const bytes = Bytes.fromUtf8("aéb")
    assert.strictEqual(Bytes.utf8(bytes), "aéb")
    assert.strictEqual(Bytes.utf8(bytes, 1, 3), "é")
    assert.strictEqual(Bytes.utf8(bytes, 3, 9), "b")
    const part = Bytes.copyOf(bytes, 1, 3)
    assert.isTrue(Bytes.equals(part, bytes.subarray(1, 3)))
    part[0] = 0
    assert.isFalse(Bytes.equals(part, bytes.subarray(1, 3)))
    assert.strictEqual(Bytes.utf8(bytes), "aéb")
  })
})
