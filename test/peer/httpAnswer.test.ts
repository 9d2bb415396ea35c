import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as HttpAnswer from "../../src/peer/httpAnswer.ts"

const latin1 = (text: string) => Buffer.from(text, "latin1")

const withLength = (body: Uint8Array, more = "") =>
  Buffer.concat([latin1(`HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: ${body.length}\r\n${more}\r\n`), body])

const inChunks = (chunks: ReadonlyArray<Uint8Array>) =>
  Buffer.concat([
    latin1("HTTP/1.1 507 Full\r\ntransfer-encoding: chunked\r\n\r\n"),
    ...chunks.filter((chunk) => chunk.length > 0).flatMap((chunk) => [
      latin1(`${chunk.length.toString(16)}\r\n`),
      chunk,
      latin1("\r\n")
    ]),
    latin1("0\r\n\r\n")
  ])

const whole = (bytes: Buffer): HttpAnswer.Whole => {
  const parsed = HttpAnswer.parse(bytes)
  assert.isTrue(parsed !== undefined && "answer" in parsed)
  return parsed as HttpAnswer.Whole
}

/** No cut before the end is an answer, and none asks for more bytes than come. */
const isNeverWholeBefore = (bytes: Buffer) => {
  for (let end = 0; end < bytes.length; end++) {
    const parsed = HttpAnswer.parse(bytes.subarray(0, end))
    assert.isTrue(parsed !== undefined && "bytesMin" in parsed, `after ${end} bytes`)
    const { bytesMin } = parsed as HttpAnswer.Needed
    assert.isTrue(bytesMin > end && bytesMin <= bytes.length)
  }
}

describe("httpAnswer", () => {
  it.prop("gives any body of a stated length once its last byte is there, not before", {
    body: Schema.Uint8Array
  }, ({ body }) => {
    const bytes = withLength(body)
    isNeverWholeBefore(bytes)
    const { answer, isReusable } = whole(bytes)
    assert.strictEqual(answer.status, 200)
    assert.deepEqual(new Uint8Array(answer.body), body)
    assert.isTrue(isReusable)
  })

  it.prop("joins chunks, once the last one is there, not before", {
    chunks: Schema.Array(Schema.Uint8Array)
  }, ({ chunks }) => {
    const bytes = inChunks(chunks)
    isNeverWholeBefore(bytes)
    const { answer } = whole(bytes)
    assert.strictEqual(answer.status, 507)
    assert.deepEqual(new Uint8Array(answer.body), new Uint8Array(Buffer.concat(chunks)))
  })

  it.prop("reads one answer after another, wherever the bytes are cut", {
    bodies: Schema.Array(Schema.Uint8Array),
    cut: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 }))
  }, ({ bodies, cut }) => {
    const reader = new HttpAnswer.Reader()
    for (const body of bodies) {
      const bytes = inChunks([body])
      for (let at = 0; at < bytes.length; at += cut) {
        const read = reader.read(bytes.subarray(at, at + cut))
        if (at + cut < bytes.length) assert.strictEqual(read, "partial")
        else assert.isTrue(typeof read !== "string" && Buffer.from(body).equals(read.answer.body))
      }
    }
    assert.strictEqual(reader.read(latin1("SSH-2.0-OpenSSH\r\n\r\n")), "malformed")
  })

  it("knows an answer after which the peer closes", () => {
    assert.isFalse(whole(withLength(Buffer.from("x"), "Connection: close\r\n")).isReusable)
  })

  it("knows that 204 and 304 have no body", () => {
    for (const status of [204, 304]) {
      assert.strictEqual(whole(latin1(`HTTP/1.1 ${status} x\r\nDate: x\r\n\r\n`)).answer.body.length, 0)
    }
  })

  const malformed: ReadonlyArray<readonly [what: string, text: string]> = [
    ["another protocol", "SSH-2.0-OpenSSH\r\n\r\n"],
    ["an interim answer, which nobody asked for", "HTTP/1.1 100 Continue\r\n\r\n"],
    ["a body that ends with its connection", "HTTP/1.1 200 OK\r\n\r\n"],
    ["another transfer encoding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"],
    ["a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: 1e3\r\n\r\n"],
    ["bytes after the body", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy"],
    ["bytes after an answer without one", "HTTP/1.1 204 No Content\r\n\r\nx"],
    ["a chunk without a size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"],
    ["a chunk that is longer than it says", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n"],
    ["bytes after the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx"],
    ["trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n"],
    ["a head without end", `HTTP/1.1 200 OK\r\nA: ${"x".repeat(16 * 1024)}`]
  ]
  it.each(malformed)("refuses %s", (_, text) => {
    assert.isUndefined(HttpAnswer.parse(latin1(text)))
  })
})
