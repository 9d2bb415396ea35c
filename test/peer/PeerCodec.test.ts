import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { valueBytesMaxMax } from "../../src/config/NodeConfig.ts"
import { type Cell, contentTypeBytesMax } from "../../src/domain/cell/Cell.ts"
import { Key } from "../../src/domain/Key.ts"
import { NodeId } from "../../src/domain/NodeId.ts"
import { counterMax, Incarnation, Version } from "../../src/domain/Version.ts"
import { batchCellsMax } from "../../src/peer/PeerApi.ts"
import type { ReadAnswer, ReadRequest, WriteAnswer } from "../../src/peer/PeerClient.ts"
import * as PeerCodec from "../../src/peer/PeerCodec.ts"
import {
  bytes as anyBytes,
  cell as anyCell,
  key as anyKey,
  plain,
  version as anyVersion
} from "../domain/arbitraries.ts"

const anyWriteAnswer = Arbitrary.map(
  Arbitrary.all({
    kind: Arbitrary.schema(Schema.Literals(["new", "replaced", "superseded", "recovering", "storage"])),
    newest: anyVersion
  }),
  ({ kind, newest }): WriteAnswer => {
    if (kind === "superseded") return { _tag: "Superseded", newest }
    if (kind === "recovering" || kind === "storage") return { _tag: "Uncounted", reason: kind }
    return { _tag: "Accepted", replaced: kind === "replaced" }
  }
)

/** A replica has nothing of the key, or answers with its version alone or with all of it. */
const anyReadAnswer = Arbitrary.map(
  Arbitrary.all({
    cell: anyCell,
    kind: Arbitrary.schema(Schema.Literals(["absent", "version", "cell"])),
    isUnreadable: Arbitrary.schema(Schema.Boolean)
  }),
  ({ cell, isUnreadable, kind }): ReadAnswer => ({
    version: kind === "absent" ? undefined : cell.version,
    cell: kind === "cell" ? cell : undefined,
    ...(isUnreadable && { isUnreadable })
  })
)

const stamp = (changes?: Partial<Record<"counter" | "nodeId" | "incarnation", unknown>>): Version => ({
  counter: 51,
  nodeId: NodeId.make("node1"),
  incarnation: Incarnation.make("9f86d081884c"),
  ...(changes as Partial<Version>)
})

const noBytes = new Uint8Array(0)

const tombstone = (version: Version, key = "k"): Cell => ({ key: key as Key, version, value: undefined })

const plainAnswer = ({ cell, version, ...rest }: ReadAnswer) => ({
  ...rest,
  version: version && { ...version },
  cell: plain(cell)
})

/** The answers to requests for just these keys. */
const decodeReadAnswers = (bytes: Uint8Array, answers: ReadonlyArray<ReadAnswer>) =>
  PeerCodec.decodeReadAnswers(bytes, answers.map(({ cell }) => ({ key: cell?.key ?? Key.make("k"), full: true })))

/** No sender of ours would send these, since it checks before. */
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
  ["an incarnation of other letters", stamp({ incarnation: "9f86d08188zz" })],
  ["an incarnation in capitals", stamp({ incarnation: "9F86D081884C" })]
]

const unsoundKeys: ReadonlyArray<readonly [what: string, key: string]> = [
  ["an empty key", ""],
  ["a key of 1,025 bytes", "a".repeat(1025)],
  ["a key of 1,026 bytes in 342 characters", "€".repeat(342)]
]

/** A copy of which one byte is another. */
const withByte = (bytes: Uint8Array, at: number, byte: number): Uint8Array => {
  const changed = Uint8Array.from(bytes)
  changed[at] = byte
  return changed
}

const isKey = Schema.is(Key)
const isVersion = Schema.is(Version)

const assertSound = ({ key, value, version }: Cell) => {
  assert.isTrue(isKey(key), JSON.stringify(key))
  assert.isTrue(isVersion(version), JSON.stringify(version))
  if (value === undefined) return
  assert.isAtMost(value.bytes.length, valueBytesMaxMax)
  assert.match(value.contentType, /^[\x20-\x7e]{0,255}$/)
}

interface Codec<A> {
  readonly one: Arbitrary.Arbitrary<A>
  readonly encode: (values: ReadonlyArray<A>) => Uint8Array
  /** `values` are those that were sent. */
  readonly decode: (bytes: Uint8Array, values: ReadonlyArray<A>) => ReadonlyArray<A> | undefined
  /** Comparable, whatever class its bytes have. */
  readonly plain: (one: A) => unknown
  readonly assertSound: (one: A) => void
}

const damage = {
  place: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 }))),
  mask: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 255 }))),
  more: Arbitrary.schema(Schema.Boolean)
}

const testCodec = <A>(name: string, { assertSound, decode, encode, one, plain }: Codec<A>) =>
  describe(`${name}`, () => {
    const some = Arbitrary.array(one, { maxLength: 6 })

    it.prop("come over in order", [some], ([values]) => {
      assert.deepStrictEqual(decode(encode(values), values)?.map(plain), values.map(plain))
    }, { arbitrary: { runs: 300 } })

    it.prop("are refused when cut or continued, and sound or refused when one or two bytes are others", {
      values: Arbitrary.array(one, { minLength: 1, maxLength: 3 }),
      ...damage
    }, ({ mask, more, place, values }) => {
      const bytes = encode(values)
      const at = place % bytes.length
      assert.isUndefined(decode(bytes.subarray(0, at), values))
      assert.isUndefined(decode(Buffer.concat([bytes, Buffer.of(mask)]), values))
      let damaged = withByte(bytes, at, bytes[at]! ^ mask)
      if (more) damaged = withByte(damaged, (at * 31 + 7) % bytes.length, mask)
      decode(damaged, values)?.forEach(assertSound)
    }, { arbitrary: { runs: 1000 } })

    it.prop("are refused, not thrown on, when they are any bytes", [anyBytes, some], ([bytes, values]) => {
      const decoded = decode(bytes, values)
      // Chance may write a message; an empty one is all that so few bytes can say.
      assert.isTrue(decoded === undefined || Array.isArray(decoded))
    }, { arbitrary: { runs: 500 } })

    it("are refused in a protocol that this node does not speak, and in text", () => {
      assert.isDefined(decode(encode([]), []))
      for (const protocol of [0, 1, 255]) assert.isUndefined(decode(withByte(encode([]), 0, protocol), []))
      const texts = [Buffer.alloc(0), Buffer.from(`{"protocol":1,"cells":[]}`), Buffer.alloc(64, 0xff)]
      for (const bytes of texts) assert.isUndefined(decode(bytes, []))
    })
  })

testCodec<Cell>("cells to write", {
  one: anyCell,
  encode: PeerCodec.encodeWrites,
  decode: PeerCodec.decodeWrites,
  plain,
  assertSound
})

testCodec("answers to writes", {
  one: anyWriteAnswer,
  encode: PeerCodec.encodeWriteAnswers,
  decode: PeerCodec.decodeWriteAnswers,
  plain: (answer) => answer,
  assertSound: (answer) => {
    assert.include(["Accepted", "Superseded", "Uncounted"], answer._tag)
    if (answer._tag === "Superseded") assert.isTrue(isVersion(answer.newest), JSON.stringify(answer.newest))
  }
})

testCodec<ReadRequest>("requests to read", {
  one: Arbitrary.all({ key: anyKey, full: Arbitrary.schema(Schema.Boolean) }),
  encode: PeerCodec.encodeReads,
  decode: PeerCodec.decodeReads,
  plain: (request) => request,
  assertSound: ({ full, key }) => {
    assert.isTrue(isKey(key), JSON.stringify(key))
    assert.isBoolean(full)
  }
})

testCodec("answers to reads", {
  one: anyReadAnswer,
  encode: PeerCodec.encodeReadAnswers,
  decode: decodeReadAnswers,
  plain: plainAnswer,
  assertSound: ({ cell, version }) => {
    if (version !== undefined) assert.isTrue(isVersion(version), JSON.stringify(version))
    if (cell !== undefined) assertSound(cell)
  }
})

describe("PeerCodec", () => {
  it("tells a key that was never there, a tombstone, a version alone and an empty value apart", () => {
    const { key, version } = tombstone(stamp())
    const answers: ReadonlyArray<ReadAnswer> = [
      { version: undefined, cell: undefined },
      { version, cell: { key, version, value: undefined } },
      { version, cell: undefined },
      { version, cell: { key, version, value: { bytes: noBytes, contentType: "" } } }
    ]
    const decoded = decodeReadAnswers(PeerCodec.encodeReadAnswers(answers), answers)
    assert.deepStrictEqual(decoded?.map(plainAnswer), answers.map(plainAnswer))
  })

  it("brings a value of a mebibyte over, and a cut of a larger buffer without its surroundings", () => {
    const bytes = Buffer.alloc(1024 * 1024 + 2, 7).subarray(1, -1)
    const cell = { ...tombstone(stamp()), value: { bytes, contentType: "application/octet-stream" } }
    const [decoded] = PeerCodec.decodeWrites(PeerCodec.encodeWrites([cell]))!
    assert.isTrue(Buffer.from(bytes).equals(decoded!.value!.bytes))
  })

  it("knows the largest counter, node id, key, content type and value", () => {
    const key = Key.make("€".repeat(341) + "a")
    const version = stamp({ counter: counterMax, nodeId: "n".repeat(63) })
    const value = { bytes: new Uint8Array(valueBytesMaxMax), contentType: "t".repeat(contentTypeBytesMax) }
    const cells: ReadonlyArray<Cell> = [{ key, version, value }, { key, version, value: undefined }]
    assert.deepStrictEqual(PeerCodec.decodeWrites(PeerCodec.encodeWrites(cells))?.map(plain), cells.map(plain))
    const requests = cells.map((): ReadRequest => ({ key, full: true }))
    assert.deepStrictEqual(PeerCodec.decodeReads(PeerCodec.encodeReads(requests)), requests)
    const answers = cells.map((cell): ReadAnswer => ({ version, cell }))
    const decoded = decodeReadAnswers(PeerCodec.encodeReadAnswers(answers), answers)
    assert.deepStrictEqual(decoded?.map(plainAnswer), answers.map(plainAnswer))
  })

  it.each([
    ["a value above the largest setting", new Uint8Array(valueBytesMaxMax + 1), ""],
    ["a content type of 256 letters", noBytes, "t".repeat(contentTypeBytesMax + 1)],
    ["a content type that breaks a header", noBytes, "text/plain\r\nx: y"],
    ["a content type that is no header value", noBytes, "text/plän"]
  ])("refuses %s, to write and as an answer", (_, bytes, contentType) => {
    const good = { ...tombstone(stamp()), value: { bytes: noBytes, contentType: "text/plain" } }
    const bad = { ...good, value: { bytes, contentType } }
    assert.isUndefined(PeerCodec.decodeWrites(PeerCodec.encodeWrites([good, bad])))
    const answers = [good, bad].map((cell): ReadAnswer => ({ version: cell.version, cell }))
    assert.isUndefined(decodeReadAnswers(PeerCodec.encodeReadAnswers(answers), answers))
  })

  it("takes a batch of the largest size, and none beyond it", () => {
    const batch = (count: number) => Array.from({ length: count }, () => tombstone(stamp()))
    const requests = (count: number) => batch(count).map(({ key }): ReadRequest => ({ key, full: false }))
    assert.lengthOf(PeerCodec.decodeWrites(PeerCodec.encodeWrites(batch(batchCellsMax)))!, batchCellsMax)
    assert.isUndefined(PeerCodec.decodeWrites(PeerCodec.encodeWrites(batch(batchCellsMax + 1))))
    assert.lengthOf(PeerCodec.decodeReads(PeerCodec.encodeReads(requests(batchCellsMax)))!, batchCellsMax)
    assert.isUndefined(PeerCodec.decodeReads(PeerCodec.encodeReads(requests(batchCellsMax + 1))))
  })

  it("keeps small values in memory with few others, and large ones with none", () => {
    const cells = [0, 10, 256, 257, 512, 513, 1025, 2048, 2049, 5000].flatMap((length) =>
      Array.from({ length: 20 }, () => ({
        ...tombstone(stamp()),
        value: { bytes: new Uint8Array(length).fill(length), contentType: "" }
      }))
    )
    const decoded = PeerCodec.decodeWrites(PeerCodec.encodeWrites(cells))!
    for (const { value } of decoded) {
      const { buffer, length } = value!.bytes
      const bytesMax = length > 2048 ? length : Math.max(1024, 8 * length)
      assert.isAtMost(buffer.byteLength, bytesMax, `${length} bytes`)
    }
    PeerCodec.decodeWrites(PeerCodec.encodeWrites(cells))
    assert.deepStrictEqual(decoded.map(plain), cells.map(plain))
  })

  it("are laid out as docs/formats/peer-messages.md says", () => {
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")
    const text = (of: string) => Buffer.from(of).toString("hex")
    const key = Key.make("ü")
    const lone = `0105${"00".repeat(10)}0000000000804940${text("9f86d081884cnode1")}`
    const held = `0005000001000000${"01000000"}0000000000804940${text("9f86d081884cnode1tv")}`
    const cell: Cell = { key, version: stamp(), value: { bytes: Buffer.from("v"), contentType: "t" } }
    assert.strictEqual(
      hex(PeerCodec.encodeWrites([cell])),
      `030100${held.replace("00050000", "00050200").replace(text("node1t"), text("node1üt"))}`
    )
    assert.strictEqual(
      hex(PeerCodec.encodeWriteAnswers([
        { _tag: "Accepted", replaced: false },
        { _tag: "Accepted", replaced: true },
        { _tag: "Uncounted", reason: "recovering" },
        { _tag: "Uncounted", reason: "storage" },
        { _tag: "Superseded", newest: stamp() }
      ])),
      `0305000103040800${lone}`
    )
    assert.strictEqual(
      hex(PeerCodec.encodeReads([{ key, full: true }, { key: Key.make("k"), full: false }])),
      `030200010200${text("ü")}000100${text("k")}`
    )
    assert.strictEqual(
      hex(PeerCodec.encodeReadAnswers([
        { version: undefined, cell: undefined },
        { version: stamp(), cell: undefined },
        { version: stamp(), cell },
        { version: undefined, cell: undefined, isUnreadable: true }
      ])),
      `0304000001${lone}02${held}08`
    )
  })

  it("refuses a key that is not UTF-8 rather than take it for another", () => {
    const bytes = PeerCodec.encodeReads([{ key: Key.make("kk"), full: true }])
    assert.isDefined(PeerCodec.decodeReads(bytes))
    assert.isUndefined(PeerCodec.decodeReads(withByte(bytes, bytes.length - 1, 0xff)))
    const replacement: ReadonlyArray<ReadRequest> = [{ key: Key.make("\ufffd"), full: true }]
    assert.deepStrictEqual(PeerCodec.decodeReads(PeerCodec.encodeReads(replacement)), replacement)
  })

  it.each(unsoundStamps)("refuses %s, wherever a version stands", (_, version) => {
    const answers = [{ version, cell: undefined }]
    assert.isUndefined(PeerCodec.decodeWrites(PeerCodec.encodeWrites([tombstone(stamp()), tombstone(version)])))
    assert.isUndefined(
      PeerCodec.decodeWriteAnswers(PeerCodec.encodeWriteAnswers([{ _tag: "Superseded", newest: version }]))
    )
    assert.isUndefined(decodeReadAnswers(PeerCodec.encodeReadAnswers(answers), answers))
  })

  it.each(unsoundKeys)("refuses %s, to write and to read", (_, key) => {
    const cells = [tombstone(stamp()), tombstone(stamp(), key)]
    assert.isUndefined(PeerCodec.decodeWrites(PeerCodec.encodeWrites(cells)))
    assert.isUndefined(PeerCodec.decodeReads(PeerCodec.encodeReads(cells.map(({ key }) => ({ key, full: true })))))
  })

  it("refuses fewer or more answers than there were requests", () => {
    const absent = { version: undefined, cell: undefined }
    const two = PeerCodec.encodeReadAnswers([absent, absent])
    assert.isUndefined(decodeReadAnswers(two, [absent]))
    assert.isDefined(decodeReadAnswers(two, [absent, absent]))
    assert.isUndefined(decodeReadAnswers(two, []))
  })

  it("refuses lengths that reach beyond the message, however large", () => {
    const cell: Cell = { ...tombstone(stamp()), value: { bytes: noBytes, contentType: "t" } }
    const bytes = Buffer.from(PeerCodec.encodeWrites([cell]))
    for (const [at, width] of [[1, 2], [4, 1], [5, 2], [7, 4], [11, 4]] as const) {
      const changed = Buffer.from(bytes)
      changed.fill(0xff, at, at + width)
      assert.isUndefined(PeerCodec.decodeWrites(changed), `${width} bytes from ${at}`)
    }
  })
})
