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

const cells = Arbitrary.array(anyCell, { maxLength: 6 })

const writeAnswers: Arbitrary.Arbitrary<Array<WriteAnswer>> = Arbitrary.array(
  Arbitrary.map(
    Arbitrary.all({
      kind: Arbitrary.schema(Schema.Literals(["new", "replaced", "superseded", "recovering", "storage"])),
      newest: anyVersion
    }),
    ({ kind, newest }): WriteAnswer => {
      if (kind === "superseded") return { _tag: "Superseded", newest }
      if (kind === "recovering" || kind === "storage") return { _tag: "Uncounted", reason: kind }
      return { _tag: "Accepted", replaced: kind === "replaced" }
    }
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

const noBytes = new Uint8Array(0)

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

  it("knows the largest counter, node id, key, content type and value", () => {
    const key = Key.make("€".repeat(341) + "a")
    const version = stamp({ counter: counterMax, nodeId: "n".repeat(63) })
    const value = { bytes: new Uint8Array(valueBytesMaxMax), contentType: "t".repeat(contentTypeBytesMax) }
    const cells: ReadonlyArray<Cell> = [{ key, version, value }, { key, version, value: undefined }]
    assert.deepStrictEqual(PeerCodec.decodeWrites(PeerCodec.encodeWrites(cells))?.map(plain), cells.map(plain))
    const requests = cells.map((): ReadRequest => ({ key, full: true }))
    assert.deepStrictEqual(PeerCodec.decodeReads(PeerCodec.encodeReads(requests)), requests)
    const answers = cells.map((cell): ReadAnswer => ({ version, cell }))
    assert.deepStrictEqual(
      plainAnswers(PeerCodec.decodeReadAnswers(PeerCodec.encodeReadAnswers(answers), requests)),
      plainAnswers(answers)
    )
  })

  for (
    const [what, value] of [
      ["a value above the largest setting", { bytes: new Uint8Array(valueBytesMaxMax + 1), contentType: "" }],
      ["a content type of 256 letters", { bytes: noBytes, contentType: "t".repeat(contentTypeBytesMax + 1) }],
      ["a content type that breaks a header", { bytes: noBytes, contentType: "text/plain\r\nx: y" }],
      ["a content type that is no header value", { bytes: noBytes, contentType: "text/plän" }]
    ] as const
  ) {
    it(`refuses ${what}, to write and as an answer`, () => {
      const good = { ...tombstone(stamp()), value: { bytes: noBytes, contentType: "text/plain" } }
      const bad = { ...good, value }
      assert.isUndefined(PeerCodec.decodeWrites(PeerCodec.encodeWrites([good, bad])))
      const answers = [good, bad].map((cell): ReadAnswer => ({ version: cell.version, cell }))
      const requests = answers.map((): ReadRequest => ({ key: good.key, full: true }))
      assert.isUndefined(PeerCodec.decodeReadAnswers(PeerCodec.encodeReadAnswers(answers), requests))
    })
  }

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

  it("says whether what a replica holds can be read, whatever else it says", () => {
    const cell = tombstone(stamp())
    const answers: ReadonlyArray<ReadAnswer> = [
      { version: undefined, cell: undefined, isUnreadable: true },
      { version: stamp(), cell: undefined, isUnreadable: true },
      { version: cell.version, cell, isUnreadable: true },
      { version: undefined, cell: undefined }
    ]
    const requests = answers.map((): ReadRequest => ({ key: cell.key, full: true }))
    assert.deepStrictEqual(PeerCodec.decodeReadAnswers(PeerCodec.encodeReadAnswers(answers), requests), answers)
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
    const cells = [tombstone(stamp())]
    const requests: ReadonlyArray<ReadRequest> = [{ key: Key.make("k"), full: true }]
    const messages = [
      PeerCodec.encodeWrites(cells),
      PeerCodec.encodeWriteAnswers([{ _tag: "Accepted", replaced: false }]),
      PeerCodec.encodeReads(requests),
      PeerCodec.encodeReadAnswers([{ version: undefined, cell: undefined }])
    ]
    for (const [index, [name, decode]] of decoders.entries()) {
      const message = messages[index]!
      assert.isDefined(decode(message), name)
      for (const protocol of [0, 1, 255]) assert.isUndefined(decode(withByte(message, 0, protocol)), name)
    }
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

  const assertSoundValue = (value: Cell["value"]) => {
    if (value === undefined) return
    assert.isAtMost(value.bytes.length, valueBytesMaxMax)
    assert.match(value.contentType, /^[\x20-\x7e]{0,255}$/)
  }

  const assertSound = ({ key, value, version }: Cell) => {
    assert.isTrue(isKey(key), JSON.stringify(key))
    assert.isTrue(isVersion(version), JSON.stringify(version))
    assertSoundValue(value)
  }

  const places = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 }))
  const damage = {
    place: Arbitrary.schema(places),
    mask: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 255 }))),
    more: Arbitrary.schema(Schema.Boolean)
  }
  type Damage = { readonly place: number; readonly mask: number; readonly more: boolean }

  /** Its end is missing, something follows, or one or two bytes are others: the first two are always refused. */
  const assertRefusesOrSound = <A>(
    bytes: Uint8Array,
    { mask, more, place }: Damage,
    decode: (bytes: Uint8Array) => ReadonlyArray<A> | undefined,
    assertOne: (one: A) => void
  ) => {
    const at = place % bytes.length
    assert.isDefined(decode(bytes))
    assert.isUndefined(decode(bytes.subarray(0, at)))
    assert.isUndefined(decode(Buffer.concat([bytes, Buffer.of(mask)])))
    let damaged = withByte(bytes, at, bytes[at]! ^ mask)
    if (more) damaged = withByte(damaged, (at * 31 + 7) % bytes.length, mask)
    decode(damaged)?.forEach(assertOne)
  }

  const damaged = { arbitrary: { runs: 1000 } }

  it.prop("lets nothing unsound through when cells to write are damaged", {
    cells: Arbitrary.array(anyCell, { minLength: 1, maxLength: 3 }),
    ...damage
  }, ({ cells, ...damage }) => {
    assertRefusesOrSound(PeerCodec.encodeWrites(cells), damage, PeerCodec.decodeWrites, assertSound)
  }, damaged)

  it.prop("lets nothing unsound through when answers to writes are damaged", { answers: writeAnswers, ...damage }, ({
    answers,
    ...damage
  }) => {
    const bytes = PeerCodec.encodeWriteAnswers(answers)
    assertRefusesOrSound(bytes, damage, PeerCodec.decodeWriteAnswers, (answer) => {
      assert.include(["Accepted", "Superseded", "Uncounted"], answer._tag)
      if (answer._tag === "Superseded") assert.isTrue(isVersion(answer.newest), JSON.stringify(answer.newest))
    })
  }, damaged)

  it.prop("lets nothing unsound through when requests to read are damaged", { requests, ...damage }, ({
    requests,
    ...damage
  }) => {
    assertRefusesOrSound(PeerCodec.encodeReads(requests), damage, PeerCodec.decodeReads, ({ full, key }) => {
      assert.isTrue(isKey(key), JSON.stringify(key))
      assert.isBoolean(full)
    })
  }, damaged)

  it.prop("lets nothing unsound through when answers to reads are damaged", { reads, ...damage }, ({
    reads,
    ...damage
  }) => {
    const requests = reads.map(({ request }) => request)
    const bytes = PeerCodec.encodeReadAnswers(reads.map(({ answer }) => answer))
    assertRefusesOrSound(bytes, damage, (bytes) => PeerCodec.decodeReadAnswers(bytes, requests), (answer) => {
      if (answer.version !== undefined) assert.isTrue(isVersion(answer.version), JSON.stringify(answer.version))
      if (answer.cell !== undefined) assertSound(answer.cell)
    })
  }, damaged)

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
