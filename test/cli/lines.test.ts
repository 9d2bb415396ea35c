import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { lineBytesMax, LineSplitter } from "../../src/cli/lines.ts"

const split = (chunks: ReadonlyArray<Uint8Array>) => {
  const splitter = new LineSplitter()
  return [...chunks.flatMap((chunk) => splitter.push(chunk)), ...splitter.end()]
}

describe("LineSplitter", () => {
  it.prop("gives the same lines wherever the stream is cut", {
    lines: Schema.NonEmptyArray(Schema.String),
    cut: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 7 }))
  }, ({ cut, lines }) => {
    const texts = lines.map((line) => line.toWellFormed().replaceAll("\n", " "))
    const bytes = Buffer.from(texts.map((text) => `${text}\n`).join(""))
    const chunks = Array.from(
      { length: Math.ceil(bytes.length / cut) },
      (_, at) => bytes.subarray(at * cut, (at + 1) * cut)
    )
    assert.deepStrictEqual(split(chunks), texts.map((text, index) => ({ number: index + 1, text })))
  })

  it("numbers empty lines too, and takes a last line without a line feed", () => {
    assert.deepStrictEqual(split([Buffer.from("a\n\nb")]), [
      { number: 1, text: "a" },
      { number: 2, text: "" },
      { number: 3, text: "b" }
    ])
  })

  it("skips a line that is too long and goes on with the next", () => {
    const chunk = Buffer.alloc(lineBytesMax / 2 + 1, "x")
    assert.deepStrictEqual(split([chunk, chunk, Buffer.from("\nnext\n")]), [
      { number: 1, text: undefined },
      { number: 2, text: "next" }
    ])
  })

  it("takes a line of the greatest length", () => {
    const [line] = split([Buffer.alloc(lineBytesMax, "x"), Buffer.from("\n")])
    assert.strictEqual(line!.text!.length, lineBytesMax)
  })
})
