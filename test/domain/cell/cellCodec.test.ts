import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type { Cell } from "../../../src/domain/cell/Cell.ts"
import * as cellCodec from "../../../src/domain/cell/cellCodec.ts"
import { counterMax, Incarnation } from "../../../src/domain/Version.ts"
import { cell, key, keysOf, Letters, plain, tombstone, version } from "../../storage/store.ts"

const encodeAll = (cells: ReadonlyArray<Parameters<typeof cellCodec.encode>[0]>) => {
  const bytes = Buffer.alloc(cells.reduce((sum, one) => sum + cellCodec.bytesMax(one), 0))
  let end = 0
  for (const one of cells) end = cellCodec.encode(one, bytes, end)
  return bytes.subarray(0, end)
}

describe("cells as bytes", () => {
  it("are laid out as docs/formats/wal.md says", () => {
    const hex = encodeAll([cell("k", 3, "v"), tombstone("ü", 4)]).toString("hex")
    const text = (of: string) => Buffer.from(of).toString("hex")
    const first = [
      "00",
      "05",
      "0100",
      "0a000000",
      "01000000",
      "0000000000000840",
      text("0123456789abnode1ktext/plainv")
    ]
    const second = ["01", "05", "0200", "00000000", "00000000", "0000000000001040", text("0123456789abnode1ü")]
    assert.strictEqual(hex, [...first, ...second].join(""))
  })

  it.prop("decoding undoes encoding", {
    letters: Letters,
    values: Schema.Array(Schema.UndefinedOr(Schema.Uint8Array)),
    counter: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }))
  }, ({ counter, letters, values }) => {
    const cells = keysOf(letters).map((name, index): Cell => {
      const bytes = values[index]
      return {
        key: name,
        version: version(counter, `node-${index}`),
        value: bytes === undefined ? undefined : { bytes, contentType: `type/${name}` }
      }
    })
    assert.deepStrictEqual(cellCodec.decodeAll(encodeAll(cells))?.map(plain), cells.map(plain))
  })

  it("keep long texts and empty values", () => {
    const cells = [cell("k".repeat(1024), 1, ""), cell("é".repeat(512), 2, "x".repeat(100_000))]
    assert.deepStrictEqual(cellCodec.decodeAll(encodeAll(cells))?.map(plain), cells.map(plain))
  })

  it("that are cut anywhere are not decoded", () => {
    const bytes = encodeAll([cell("key", 3)])
    for (let length = 1; length < bytes.length; length++) {
      assert.isUndefined(cellCodec.decodeAll(bytes.subarray(0, length)), `${length} bytes`)
    }
  })

  it("keep every author and content type apart, however many there are", () => {
    const cells = Array.from({ length: 100 }, (_, index): Cell => ({
      key: key("k"),
      version: { ...version(1, `node${index % 40}`), incarnation: Incarnation.make(`${1e11 + (index % 30)}`) },
      value: { bytes: Buffer.from("v"), contentType: ["", "type/é", `type/${index % 35}`, "t".repeat(300)][index % 4]! }
    }))
    const bytes = encodeAll([...cells, ...cells])
    assert.deepStrictEqual(cellCodec.decodeAll(bytes)?.map(plain), [...cells, ...cells].map(plain))
  })

  it("with broken texts are not decoded, also after sound ones were", () => {
    const of = (contentType: string): Cell => ({ ...cell("k", 1), value: { bytes: Buffer.alloc(0), contentType } })
    assert.isDefined(cellCodec.decodeAll(encodeAll([of("é"), of("\ufffd")])))
    for (const at of [20, 32, 37, 38]) {
      const bytes = encodeAll([of("t")])
      assert.isDefined(cellCodec.decodeAll(bytes))
      bytes[at] = 0xe9
      assert.isUndefined(cellCodec.decodeAll(bytes), `byte ${at}`)
    }
  })

  it("with other flags, or tombstones that hold something, are not decoded", () => {
    const bytes = encodeAll([cell("k", 1)])
    for (const flags of [1, 2, 3, 255]) {
      bytes[0] = flags
      assert.isUndefined(cellCodec.decodeAll(bytes), `flags ${flags}`)
    }
  })

  it("know counters of every size", () => {
    const counters = [1, 2 ** 30, 2 ** 31 - 1, 2 ** 31, 2 ** 32, counterMax]
    const decoded = cellCodec.decodeAll(encodeAll(counters.map((counter) => cell("k", counter))))
    assert.deepStrictEqual(decoded?.map((one) => one.version.counter), counters)
  })

  it.prop("decode or do not when bytes are others, and never throw or read behind their end", {
    letters: Letters,
    place: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 })),
    byte: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))
  }, ({ byte, letters, place }) => {
    const bytes = encodeAll([cell("key", 1), ...keysOf(letters).map((name) => cell(name, 2))])
    bytes[place % bytes.length] = byte
    for (const { value } of cellCodec.decodeAll(bytes) ?? []) {
      if (value === undefined) continue
      assert.isAtMost(value.bytes.byteOffset + value.bytes.length, bytes.byteOffset + bytes.length)
    }
  }, { arbitrary: { runs: 500 } })
})
