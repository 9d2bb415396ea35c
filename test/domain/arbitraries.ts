/** Generators of domain values, dense where the rules have edges, so that few runs meet them. */
import { Arbitrary, Schema } from "effect"
import type { Cell, Value } from "../../src/domain/cell/Cell.ts"
import { Key } from "../../src/domain/Key.ts"
import { NodeId } from "../../src/domain/NodeId.ts"
import { counterMax, Incarnation, type Version } from "../../src/domain/Version.ts"

const oneOf = <const A extends ReadonlyArray<string>>(values: A) => Arbitrary.schema(Schema.Literals(values))

/** Where UTF-8 and UTF-16 order differently, and what JSON, lines and paths treat in a special way. */
const characters = [
  "a",
  "b",
  "/",
  "-",
  "\0",
  "\n",
  "\r",
  "\"",
  "\\",
  "\u007f",
  "é",
  "\u2028",
  "\ud7ff",
  "\ue000",
  "\ufeff",
  "\ufffd",
  "\uffff",
  "\u{10000}",
  "😀",
  "\u{10ffff}"
] as const

const joined = (letters: ReadonlyArray<string>) => letters.join("")

export const text: Arbitrary.Arbitrary<string> = Arbitrary.map(
  Arbitrary.array(oneOf(characters), { maxLength: 8 }),
  joined
)

/** Any sequence of UTF-16 units, halves of pairs included. */
export const brokenText: Arbitrary.Arbitrary<string> = Arbitrary.map(
  Arbitrary.array(oneOf(["a", "\ud800", "\udbff", "\udc00", "\udfff", "\uffff"]), { maxLength: 6 }),
  joined
)

export const key: Arbitrary.Arbitrary<Key> = Arbitrary.map(
  Arbitrary.array(oneOf(characters), { minLength: 1, maxLength: 8 }),
  (letters) => Key.make(joined(letters))
)

export const bytes: Arbitrary.Arbitrary<Uint8Array> = Arbitrary.map(
  Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))), {
    maxLength: 40
  }),
  (values) => Uint8Array.from(values)
)

/** Small numbers, so that equal ones meet, and the largest. */
const counter = Arbitrary.schema(Schema.Literals([1, 2, 3, 51, 2 ** 40, counterMax - 1, counterMax]))

export const version: Arbitrary.Arbitrary<Version> = Arbitrary.map(
  Arbitrary.all({
    counter,
    nodeId: oneOf(["a", "a-1", "a-1-0123456789ab", "node1", "Node_2.x"]),
    incarnation: oneOf(["000000000000", "0123456789ab", "9f86d081884c"])
  }),
  ({ counter, incarnation, nodeId }) => ({
    counter,
    nodeId: NodeId.make(nodeId),
    incarnation: Incarnation.make(incarnation)
  })
)

const value: Arbitrary.Arbitrary<Value | undefined> = Arbitrary.map(
  Arbitrary.all({
    tombstone: Arbitrary.schema(Schema.Boolean),
    bytes: Arbitrary.map(
      Arbitrary.all({ binary: Arbitrary.schema(Schema.Boolean), bytes, text }),
      ({ binary, bytes, text }) => binary ? bytes : new Uint8Array(Buffer.from(text, "utf8"))
    ),
    contentType: oneOf(["", "text/plain", "application/json; charset=\"utf-8\""])
  }),
  ({ bytes, contentType, tombstone }) => tombstone ? undefined : { bytes, contentType }
)

export const cell: Arbitrary.Arbitrary<Cell> = Arbitrary.all({ key, version, value })

/** Cells of one key whose versions and contents often meet. */
export const cellsOfOneKey: Arbitrary.Arbitrary<Array<Cell>> = Arbitrary.array(
  Arbitrary.map(
    Arbitrary.all({
      counter: Arbitrary.schema(Schema.Literals([1, 2])),
      contents: Arbitrary.schema(Schema.Literals(["deleted", "", "x", "xy"])),
      contentType: oneOf(["a", "b"])
    }),
    ({ contents, contentType, counter }): Cell => ({
      key: Key.make("k"),
      version: { counter, nodeId: NodeId.make("n"), incarnation: Incarnation.make("000000000000") },
      value: contents === "deleted" ? undefined : { bytes: Buffer.from(contents), contentType }
    })
  ),
  { minLength: 3, maxLength: 3 }
)

/** What `assert.deepStrictEqual` can compare: buffers and plain byte arrays of the same bytes look alike. */
export const plain = (cell: Cell | undefined) =>
  cell && {
    ...cell,
    version: { ...cell.version },
    value: cell.value && { bytes: Buffer.from(cell.value.bytes).toString("hex"), contentType: cell.value.contentType }
  }
