import { assert, describe, it } from "@effect/vitest"
import * as Bytes from "../../../src/domain/bytes.ts"
import type { Cell } from "../../../src/domain/cell/Cell.ts"
import * as CellLine from "../../../src/domain/cell/CellLine.ts"
import { Key } from "../../../src/domain/Key.ts"
import { NodeId } from "../../../src/domain/NodeId.ts"
import { counterMax, Incarnation } from "../../../src/domain/Version.ts"
import { cell as anyCell, plain } from "../arbitraries.ts"

const cell = (key: string, bytes: Uint8Array | undefined, contentType = "text/plain"): Cell => ({
  key: Key.make(key),
  version: { counter: 51, nodeId: NodeId.make("node1"), incarnation: Incarnation.make("9f86d081884c") },
  value: bytes && { bytes, contentType }
})

const roundTrip = (cell: Cell) => assert.deepStrictEqual(plain(CellLine.decode(CellLine.encode(cell))), plain(cell))

/** In a buffer full of quotation marks, so that a look beyond the line would be noticed. */
const writtenPlain = (cell: Cell, start: number) => {
  const target = CellLine.makeTarget(start + CellLine.plainBytesMax(cell))
  target.bytes.fill(0x22)
  const end = CellLine.writePlain(cell, target, start)
  return end === undefined ? undefined : Bytes.utf8(target.bytes, start, end)
}

describe("CellLine", () => {
  it.prop("decodes to the cell that was encoded, for any key and bytes", [anyCell], ([cell]) => {
    const line = CellLine.encode(cell)
    assert.notInclude(line, "\n")
    assert.notInclude(line, "\r")
    roundTrip(cell)
  }, { arbitrary: { runs: 1000 } })

  it("keeps every single byte", () => {
    for (let byte = 0; byte < 256; byte++) roundTrip(cell("k", Uint8Array.of(byte)))
    roundTrip(cell("k", Uint8Array.from({ length: 256 }, (_, byte) => byte)))
  })

  it("encodes a part of a larger buffer without its surroundings", () => {
    const whole = Buffer.from("before value after")
    assert.include(CellLine.encode(cell("k", whole.subarray(7, 12))), `"value":"value"`)
  })

  it("is readable: text as text, other bytes in base64, a tombstone as deleted; key and version stand first", () => {
    assert.strictEqual(
      CellLine.encode(cell("users/42", Buffer.from("Ada"))),
      `{"key":"users/42","version":"51-node1-9f86d081884c","type":"text/plain","value":"Ada"}`
    )
    assert.strictEqual(
      CellLine.encode(cell("logo", Buffer.from([0x89, 0x50]), "image/png")),
      `{"key":"logo","version":"51-node1-9f86d081884c","type":"image/png","base64":"iVA="}`
    )
    assert.strictEqual(
      CellLine.encode(cell("users/7", undefined)),
      `{"key":"users/7","version":"51-node1-9f86d081884c","deleted":true}`
    )
  })

  it.prop("is written to a buffer as it is encoded, or not at all, wherever it starts", [anyCell], ([any]) => {
    for (const start of [0, 1, 2, 3]) {
      const written = writtenPlain(any, start)
      if (written !== undefined) assert.strictEqual(written, CellLine.encode(any))
    }
  }, { arbitrary: { runs: 1000 } })

  it("is written to a buffer exactly when nothing in it is escaped, for each byte at each place", () => {
    for (let byte = 0; byte < 256; byte++) {
      const escaped = byte < 0x20 || byte > 0x7f || byte === 0x22 || byte === 0x5c
      for (let place = 0; place < 13; place++) {
        const one = cell("k", Buffer.alloc(13, "a").fill(byte, place, place + 1))
        for (const start of [0, 1, 2, 3]) {
          assert.strictEqual(
            writtenPlain(one, start),
            escaped ? undefined : CellLine.encode(one),
            `${byte} at ${place}`
          )
        }
      }
    }
  })

  it("is written to a buffer for values of any length", () => {
    for (let length = 0; length < 20; length++) {
      const one = cell("k", Buffer.alloc(length, "~"))
      for (const start of [0, 1, 2, 3]) assert.strictEqual(writtenPlain(one, start), CellLine.encode(one))
    }
    const longest: Cell = {
      ...cell("k".repeat(1024), Buffer.alloc(5000, "v"), "t".repeat(200)),
      version: {
        counter: counterMax,
        nodeId: NodeId.make("n".repeat(63)),
        incarnation: Incarnation.make("9f86d081884c")
      }
    }
    assert.strictEqual(writtenPlain(longest, 0), CellLine.encode(longest))
  })

  it("is not written to a buffer when it is a tombstone or its key or type is escaped", () => {
    for (const one of [cell("k", undefined), cell("\"", Buffer.from("v")), cell("k", Buffer.from("v"), "é")]) {
      assert.isUndefined(writtenPlain(one, 0))
    }
  })

  it("ignores members that it does not know", () => {
    const line = `{"key":"k","version":"51-node1-9f86d081884c","type":"text/plain","value":"v","later":{}}`
    assert.deepStrictEqual(plain(CellLine.decode(line)), plain(cell("k", Buffer.from("v"))))
  })

  const version = `"version":"51-node1-9f86d081884c"`
  it.each([
    "",
    "null",
    "[]",
    "1",
    `"key"`,
    "{",
    "{}",
    `{"end":true}`,
    `{${version},"deleted":true}`,
    `{"key":"k","deleted":true}`,
    `{"key":1,${version},"deleted":true}`,
    `{"key":"k","version":51,"deleted":true}`,
    `{"key":"k","version":"51-node1","deleted":true}`,
    `{"key":"k",${version}}`,
    `{"key":"k",${version},"deleted":false}`,
    `{"key":"k",${version},"deleted":"true"}`,
    `{"key":"k",${version},"type":"t"}`,
    `{"key":"k",${version},"value":"v"}`,
    `{"key":"k",${version},"type":"t","value":1}`,
    `{"key":"k",${version},"type":1,"value":"v"}`,
    `{"key":"",${version},"deleted":true}`,
    `{"key":"\\ud800",${version},"deleted":true}`,
    `{"key":"${"€".repeat(342)}",${version},"deleted":true}`,
    `{"key":"k",${version},"type":"t","value":"v`,
    `{"key":"k",${version},"type":"t","value":"v"} {}`
  ])("does not take %j for a cell", (junk) => assert.isUndefined(CellLine.decode(junk)))
})
