import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type { Cell } from "../../src/domain/Cell.ts"
import * as cellCodec from "../../src/domain/cellCodec.ts"
import { cell, keysOf, Letters, plain, tombstone, version } from "../storage/store.ts"

const encodeAll = (cells: ReadonlyArray<Parameters<typeof cellCodec.encode>[0]>) => {
  const bytes = Buffer.alloc(cells.reduce((sum, one) => sum + cellCodec.sizeMax(one), 0))
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
})
