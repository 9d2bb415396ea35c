/**
 * Reads a connection's answers of HTTP/1.1 (RFC 9112), one at a time. Pure, except for a `Reader`.
 *
 * It reads the answers that a node sends: a body of a stated length, or in chunks without trailers. Others are
 * malformed, even a body that ends with its connection, which looks like one that was cut.
 */
import * as Bytes from "../domain/bytes.ts"

export interface Answer {
  readonly status: number
  readonly body: Uint8Array
}

export interface Whole {
  readonly answer: Answer
  /** Whether the connection can take another request. */
  readonly isReusable: boolean
}

/** Parsing again is useless with fewer bytes. */
export interface Needed {
  readonly bytesMin: number
}

const headBytesMax = 16 * 1024

const lineBreak = Bytes.fromUtf8("\r\n")
const blankLine = Bytes.fromUtf8("\r\n\r\n")

const statusLine = /^HTTP\/1\.1 ([2-5][0-9]{2}) /
const contentLength = /\r\ncontent-length:[ \t]*([0-9]{1,15})[ \t]*\r\n/i
const chunked = /\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n/i
const closing = /\r\nconnection:[ \t]*close[ \t]*\r\n/i

/** Joins the pieces that arrive into answers. */
export class Reader {
  private chunks: Array<Uint8Array> = []
  private bytes = 0
  private bytesMin = 0

  /** After `malformed`, nothing more can be read. */
  read(chunk: Uint8Array): Whole | "partial" | "malformed" {
    this.bytes += chunk.length
    this.chunks.push(chunk)
    if (this.bytes < this.bytesMin) return "partial"
    const bytes = this.chunks.length === 1 ? chunk : Bytes.concat(this.chunks)
    const parsed = parse(bytes)
    if (parsed === undefined) return "malformed"
    if ("bytesMin" in parsed) {
      this.chunks = [bytes]
      this.bytesMin = parsed.bytesMin
      return "partial"
    }
    this.chunks = []
    this.bytes = 0
    this.bytesMin = 0
    return parsed
  }
}

/** The answer that is all of `bytes`, how much is missing, or `undefined` when that cannot become one. */
export const parse = (bytes: Uint8Array): Whole | Needed | undefined => {
  const headEnd = Bytes.indexOf(bytes, blankLine, 0)
  if (headEnd === -1) return bytes.length > headBytesMax ? undefined : { bytesMin: bytes.length + 1 }
  const head = Bytes.latin1(bytes, 0, headEnd + 2)
  const status = Number(statusLine.exec(head)?.[1])
  const body = Number.isNaN(status) ? undefined : bodyOf(status, head, bytes, headEnd + 4)
  if (body === undefined || "bytesMin" in body) return body
  return { answer: { status, body }, isReusable: !closing.test(head) }
}

const bodyOf = (status: number, head: string, bytes: Uint8Array, start: number): Uint8Array | Needed | undefined => {
  if (status === 204 || status === 304) return exactly(bytes, start, start)
  const length = contentLength.exec(head)
  if (length !== null) return exactly(bytes, start, start + Number(length[1]))
  return chunked.test(head) ? joinedChunks(bytes, start) : undefined
}

const exactly = (bytes: Uint8Array, start: number, end: number): Uint8Array | Needed | undefined => {
  if (bytes.length < end) return { bytesMin: end }
  return bytes.length === end ? bytes.subarray(start) : undefined
}

const joinedChunks = (bytes: Uint8Array, start: number): Uint8Array | Needed | undefined => {
  const chunks: Array<Uint8Array> = []
  for (let at = start;;) {
    const lineEnd = Bytes.indexOf(bytes, lineBreak, at)
    if (lineEnd === -1) return { bytesMin: bytes.length + 1 }
    const line = Bytes.latin1(bytes, at, lineEnd)
    if (!/^[0-9a-f]{1,8}$/i.test(line)) return undefined
    const chunkStart = lineEnd + 2
    const chunkEnd = chunkStart + Number.parseInt(line, 16)
    at = chunkEnd + 2
    if (bytes.length < at) return { bytesMin: at }
    if (Bytes.latin1(bytes, chunkEnd, at) !== "\r\n") return undefined
    if (chunkEnd === chunkStart) return at === bytes.length ? Bytes.concat(chunks) : undefined
    chunks.push(bytes.subarray(chunkStart, chunkEnd))
  }
}
