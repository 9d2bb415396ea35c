import { assert, describe, it } from "@effect/vitest"
import * as frame from "../../../src/storage/wal/frame.ts"

/** Frames of the payloads; each says that all before it, or only `durableBytes`, are durable. */
const log = (payloads: ReadonlyArray<string>, durableBytes?: number): Buffer => {
  let bytes = Buffer.alloc(0)
  for (const payload of payloads) {
    const one = Buffer.concat([Buffer.alloc(frame.headerBytes), Buffer.from(payload)])
    frame.seal(one, 0, payload.length, durableBytes ?? bytes.length)
    bytes = Buffer.concat([bytes, one])
  }
  return bytes
}

const payloads = (reading: frame.Reading) =>
  reading._tag === "DamagedMiddle" ? reading._tag : reading.frames.map(({ payload }) => payload.toString())

describe("frames", () => {
  it("are laid out as docs/formats/wal.md says", () => {
    assert.strictEqual(
      log(["ab"], 7).toString("hex"),
      ["524c6731", "61d22025", "02000000", "07000000", "6162"].join("")
    )
  })

  it("are read back in order, also empty ones", () => {
    const reading = frame.readAll(log(["one", "", "three"]))
    assert.strictEqual(reading._tag, "Intact")
    assert.deepStrictEqual(payloads(reading), ["one", "", "three"])
    assert.deepStrictEqual(frame.readAll(Buffer.alloc(0)), { _tag: "Intact", frames: [] })
  })

  it("cut at any byte lose the last one and nothing else", () => {
    const bytes = log(["first", "second"])
    const second = frame.headerBytes + "first".length
    for (let length = second + 1; length < bytes.length; length++) {
      const reading = frame.readAll(bytes.subarray(0, length))
      assert.deepInclude(reading, { _tag: "TornTail", end: second })
      assert.deepStrictEqual(payloads(reading), ["first"])
    }
  })

  it("damaged at any byte before a record that knew them durable are reported", () => {
    const bytes = log(["first", "second", "third"])
    for (let offset = 0; offset < log(["first", "second"]).length; offset++) {
      const damaged = Buffer.from(bytes)
      damaged[offset] = damaged[offset]! ^ 1
      const start = offset < frame.headerBytes + 5 ? 0 : frame.headerBytes + 5
      assert.deepStrictEqual(frame.readAll(damaged), { _tag: "DamagedMiddle", offset: start }, `byte ${offset}`)
    }
  })

  it("damaged where nothing was synced yet are a torn tail, whole records behind them or not", () => {
    const damaged = log(["first", "second", "third"], 0)
    damaged[frame.headerBytes + 5 + 2] = 0
    const reading = frame.readAll(damaged)
    assert.deepStrictEqual(payloads(reading), ["first"])
    assert.strictEqual(reading._tag, "TornTail")
  })

  it("inside a value of a torn record do not pass for a record behind it", () => {
    const forged = Buffer.alloc(frame.headerBytes + 1)
    frame.seal(forged, 0, 1, 1_000_000)
    const bytes = log([`x${forged.toString("latin1")}`])
    bytes.writeUInt8(0, frame.headerBytes)
    assert.strictEqual(frame.readAll(Buffer.from(bytes))._tag, "TornTail")
  })
})
