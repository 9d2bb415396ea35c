import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { SchemaBinary } from "effect/encoding"
import type { Cell } from "../../src/domain/Cell.ts"
import { Key } from "../../src/domain/Key.ts"
import { NodeId } from "../../src/domain/NodeId.ts"
import { counterMax, Incarnation, Version } from "../../src/domain/Version.ts"
import type { ReadAnswer, ReadRequest, WriteAnswer } from "../../src/peer/PeerClient.ts"
import * as PeerCodec from "../../src/peer/PeerCodec.ts"
import {
  bytes as anyBytes,
  cell as anyCell,
  key as anyKey,
  plain,
  version as anyVersion
} from "../domain/arbitraries.ts"

const cells = Arbitrary.array(anyCell, { maxLength: 6 })

const writeAnswers: Arbitrary.Arbitrary<Array<WriteAnswer>> = Arbitrary.array(
  Arbitrary.map(
    Arbitrary.all({ kind: Arbitrary.schema(Schema.Literals(["new", "replaced", "superseded"])), newest: anyVersion }),
    ({ kind, newest }): WriteAnswer =>
      kind === "superseded" ? { _tag: "Superseded", newest } : { _tag: "Accepted", replaced: kind === "replaced" }
  ),
  { maxLength: 6 }
)

const requests: Arbitrary.Arbitrary<Array<ReadRequest>> = Arbitrary.array(
  Arbitrary.all({ key: anyKey, full: Arbitrary.schema(Schema.Boolean) }),
  { maxLength: 6 }
)

/** What one replica may say of each cell: nothing, its version alone, or all of it. */
const reads: Arbitrary.Arbitrary<Array<{ request: ReadRequest; answer: ReadAnswer }>> = Arbitrary.array(
  Arbitrary.map(
    Arbitrary.all({ cell: anyCell, kind: Arbitrary.schema(Schema.Literals(["absent", "version", "cell"])) }),
    ({ cell, kind }) => ({
      request: { key: cell.key, full: kind === "cell" },
      answer: {
        version: kind === "absent" ? undefined : cell.version,
        cell: kind === "cell" ? cell : undefined
      }
    })
  ),
  { maxLength: 6 }
)

const stamp = (changes?: Partial<Record<"counter" | "nodeId" | "incarnation", unknown>>): Version => ({
  counter: 51,
  nodeId: NodeId.make("node1"),
  incarnation: Incarnation.make("9f86d081884c"),
  ...(changes as Partial<Version>)
})

const tombstone = (version: Version, key = "k"): Cell => ({ key: key as Key, version, value: undefined })

const plainAnswers = (answers: ReadonlyArray<ReadAnswer> | undefined) =>
  answers?.map(({ cell, version }) => ({ version: version && { ...version }, cell: plain(cell) }))

/** What no sender of ours would send, since it checks before. */
const unsoundStamps: ReadonlyArray<readonly [what: string, version: Version]> = [
  ["a counter of zero", stamp({ counter: 0 })],
  ["a negative counter", stamp({ counter: -1 })],
  ["half a counter", stamp({ counter: 1.5 })],
  ["a counter that is no number", stamp({ counter: Number.NaN })],
  ["an endless counter", stamp({ counter: Number.POSITIVE_INFINITY })],
  ["a counter above 2^53 - 1", stamp({ counter: counterMax + 1 })],
  ["no node id", stamp({ nodeId: "" })],
  ["a node id that leaves its directory", stamp({ nodeId: "../node1" })],
  ["a node id that breaks a line", stamp({ nodeId: "node1\n" })],
  ["a node id of 64 letters", stamp({ nodeId: "n".repeat(64) })],
  ["an incarnation of 11 digits", stamp({ incarnation: "9f86d081884" })],
  ["an incarnation of 13 digits", stamp({ incarnation: "9f86d081884c0" })],
  ["an incarnation in capitals", stamp({ incarnation: "9F86D081884C" })],
  ["no incarnation", stamp({ incarnation: "" })]
]

const unsoundKeys: ReadonlyArray<readonly [what: string, key: string]> = [
  ["an empty key", ""],
  ["a key of 1,025 bytes", "a".repeat(1025)],
  ["a key of 1,026 bytes in 342 characters", "€".repeat(342)]
]

const withProtocol = (protocol: number) => {
  const encode = <A, I>(schema: Schema.Codec<A, I>, message: A) =>
    Schema.encodeSync(SchemaBinary.toCodec(schema))(message)
  const Rows = Schema.Array(Schema.Struct({ key: Schema.String, full: Schema.Boolean }))
  return encode(Schema.Struct({ protocol: Schema.Number, requests: Rows }), {
    protocol,
    requests: [{ key: "k", full: true }]
  })
}

const decoders: ReadonlyArray<readonly [name: string, decode: (bytes: Uint8Array) => unknown]> = [
  ["writes", PeerCodec.decodeWrites],
  ["answers to writes", PeerCodec.decodeWriteAnswers],
  ["reads", PeerCodec.decodeReads],
  ["answers to reads", (bytes) => PeerCodec.decodeReadAnswers(bytes, [{ key: Key.make("k"), full: true }])]
]

describe("PeerCodec", () => {
  it.prop("brings cells over in order, with every byte of key and value", [cells], ([cells]) => {
    const decoded = PeerCodec.decodeWrites(PeerCodec.encodeWrites(cells))
    assert.deepStrictEqual(decoded?.map(plain), cells.map(plain))
  }, { arbitrary: { runs: 300 } })

  it.prop("brings answers to writes over in order", [writeAnswers], ([answers]) => {
    assert.deepStrictEqual(PeerCodec.decodeWriteAnswers(PeerCodec.encodeWriteAnswers(answers)), answers)
  }, { arbitrary: { runs: 300 } })

  it.prop("brings requests to read over in order", [requests], ([requests]) => {
    assert.deepStrictEqual(PeerCodec.decodeReads(PeerCodec.encodeReads(requests)), requests)
  }, { arbitrary: { runs: 300 } })

  it.prop("brings answers to reads over in order, each with the key that was asked for", [reads], ([reads]) => {
    const sent = PeerCodec.encodeReadAnswers(reads.map(({ answer }) => answer))
    const decoded = PeerCodec.decodeReadAnswers(sent, reads.map(({ request }) => request))
    assert.deepStrictEqual(plainAnswers(decoded), plainAnswers(reads.map(({ answer }) => answer)))
  }, { arbitrary: { runs: 300 } })

  it("tells a key that was never there, a tombstone, a version alone and an empty value apart", () => {
    const key = Key.make("k")
    const version = stamp()
    const answers: ReadonlyArray<ReadAnswer> = [
      { version: undefined, cell: undefined },
      { version, cell: { key, version, value: undefined } },
      { version, cell: undefined },
      { version, cell: { key, version, value: { bytes: new Uint8Array(0), contentType: "" } } }
    ]
    const decoded = PeerCodec.decodeReadAnswers(
      PeerCodec.encodeReadAnswers(answers),
      answers.map(() => ({ key, full: true }))
    )
    assert.deepStrictEqual(plainAnswers(decoded), plainAnswers(answers))
  })

  it("brings a value of a mebibyte over, and a cut of a larger buffer without its surroundings", () => {
    const bytes = Buffer.alloc(1024 * 1024 + 2, 7).subarray(1, -1)
    const cell = { ...tombstone(stamp()), value: { bytes, contentType: "application/octet-stream" } }
    const [decoded] = PeerCodec.decodeWrites(PeerCodec.encodeWrites([cell]))!
    assert.isTrue(Buffer.from(bytes).equals(decoded!.value!.bytes))
  })

  it("knows the largest counter, node id and key", () => {
    const cell = tombstone(stamp({ counter: counterMax, nodeId: "n".repeat(63) }), "€".repeat(341) + "a")
    assert.deepStrictEqual(PeerCodec.decodeWrites(PeerCodec.encodeWrites([cell]))?.map(plain), [plain(cell)])
  })

  for (const [what, version] of unsoundStamps) {
    it(`refuses ${what}, wherever a version stands`, () => {
      const good = tombstone(stamp())
      assert.isUndefined(PeerCodec.decodeWrites(PeerCodec.encodeWrites([good, tombstone(version)])))
      assert.isUndefined(
        PeerCodec.decodeWriteAnswers(PeerCodec.encodeWriteAnswers([{ _tag: "Superseded", newest: version }]))
      )
      assert.isUndefined(
        PeerCodec.decodeReadAnswers(PeerCodec.encodeReadAnswers([{ version, cell: undefined }]), [
          { key: Key.make("k"), full: false }
        ])
      )
    })
  }

  for (const [what, key] of unsoundKeys) {
    it(`refuses ${what}, to write and to read`, () => {
      const cells = [tombstone(stamp()), tombstone(stamp(), key)]
      assert.isUndefined(PeerCodec.decodeWrites(PeerCodec.encodeWrites(cells)))
      assert.isUndefined(
        PeerCodec.decodeReads(PeerCodec.encodeReads(cells.map(({ key }) => ({ key, full: true }))))
      )
    })
  }

  it("refuses a protocol that it does not speak", () => {
    assert.deepStrictEqual(PeerCodec.decodeReads(withProtocol(1)), [{ key: Key.make("k"), full: true }])
    for (const protocol of [0, 2, -1, 1.5]) assert.isUndefined(PeerCodec.decodeReads(withProtocol(protocol)))
  })

  it("refuses fewer or more answers than there were requests", () => {
    const key = Key.make("k")
    const two = PeerCodec.encodeReadAnswers([{ version: undefined, cell: undefined }, {
      version: undefined,
      cell: undefined
    }])
    assert.isUndefined(PeerCodec.decodeReadAnswers(two, [{ key, full: true }]))
    assert.isDefined(PeerCodec.decodeReadAnswers(two, [{ key, full: true }, { key, full: true }]))
    assert.isUndefined(PeerCodec.decodeReadAnswers(two, []))
  })

  for (const [name, decode] of decoders) {
    it.prop(`refuses bytes that are no ${name}, and never throws`, [anyBytes], ([bytes]) => {
      const decoded = decode(bytes)
      // Chance may write a message; an empty one is all that so few bytes can say.
      assert.isTrue(decoded === undefined || Array.isArray(decoded))
    }, { arbitrary: { runs: 500 } })

    it(`refuses empty ${name} and texts`, () => {
      assert.isUndefined(decode(new Uint8Array(0)))
      assert.isUndefined(decode(Buffer.from(`{"protocol":1,"cells":[]}`)))
      assert.isUndefined(decode(Buffer.alloc(64, 0xff)))
    })
  }

  const isKey = Schema.is(Key)
  const isVersion = Schema.is(Version)

  it.prop("lets nothing unsound through when a byte of a message is flipped or its end is missing", {
    cells: Arbitrary.array(anyCell, { minLength: 1, maxLength: 3 }),
    place: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 }))),
    mask: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 255 })))
  }, ({ cells, mask, place }) => {
    const bytes = PeerCodec.encodeWrites(cells)
    const at = place % bytes.length
    assert.isUndefined(PeerCodec.decodeWrites(bytes.subarray(0, at)))
    const damaged = Uint8Array.from(bytes)
    damaged[at] = damaged[at]! ^ mask
    for (const { key, version } of PeerCodec.decodeWrites(damaged) ?? []) {
      assert.isTrue(isKey(key), JSON.stringify(key))
      assert.isTrue(isVersion(version), JSON.stringify(version))
    }
  }, { arbitrary: { runs: 1000 } })
})
