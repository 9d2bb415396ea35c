import { assert, describe, it } from "@effect/vitest"
import { Duplex } from "node:stream"
import { answerTo, onClientError } from "../../../src/server/lane/connectionError.ts"

const failure = (code: string) => Object.assign(new Error(code), { code })

class Connection extends Duplex {
  written = ""
  override _read() {}
  override _write(chunk: Buffer, _encoding: string, done: () => void) {
    this.written += chunk.toString()
    done()
  }
}

describe("an error of the connection", () => {
  it("for a request that came too slowly is 408, a whole answer that says the connection closes", () => {
    const [head, body] = answerTo("ERR_HTTP_REQUEST_TIMEOUT").split("\r\n\r\n")
    assert.isTrue(head!.startsWith("HTTP/1.1 408 "))
    assert.include(head!, "Connection: close")
    assert.include(head!, `Content-Length: ${Buffer.byteLength(body!)}`)
    assert.deepInclude(JSON.parse(body!), { status: 408, _tag: "RequestTimeout" })
  })

  it("is answered once, and the connection ended", () => {
    const connection = new Connection()
    onClientError(failure("HPE_INVALID_METHOD"), connection)
    assert.include(connection.written, "HTTP/1.1 400 ")
    assert.isTrue(connection.writableEnded)
    connection.destroy()
  })

  it("is not answered to a client that has gone, nor into an answer that has begun", () => {
    const gone = new Connection()
    onClientError(failure("ECONNRESET"), gone)
    const begun = Object.assign(new Connection(), { _httpMessage: { headersSent: true } })
    onClientError(failure("HPE_INVALID_CHUNK_SIZE"), begun)
    for (const connection of [gone, begun]) {
      assert.strictEqual(connection.written, "")
      assert.isTrue(connection.destroyed)
    }
  })
})
