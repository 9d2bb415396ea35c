/**
 * Answers requests that Node's HTTP parser refuses: headers over the limit, bytes that are not HTTP, requests that
 * arrive too slowly. The client gets a problem like any other, and the connection is closed.
 */
import type { ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import * as Problem from "../../api/Problem.ts"
import { documentOf } from "../problemResponse.ts"

/** Request line and headers together: a key of 1,024 bytes is at most 3,072 characters of it. */
export const headerBytesMax = 16 * 1024

/** Time for the client to read the answer before the connection is cut. */
const lingerMillis = 500

const problemOf = (code: string | undefined): Problem.Problem => {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return new Problem.HeadersTooLarge({
        detail: `the request line and headers have at most ${headerBytesMax} bytes`,
        limitBytes: headerBytesMax
      })
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new Problem.RequestTimeout({ detail: "the request did not arrive in time" })
    default:
      return new Problem.BadRequest({ detail: "these bytes are not an HTTP/1.1 request" })
  }
}

/** The whole answer, head and body. */
export const answerTo = (code: string | undefined): string => {
  const problem = problemOf(code)
  const body = documentOf(problem)
  return [
    `HTTP/1.1 ${problem.status} ${problem._tag}`,
    "Content-Type: application/problem+json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
    "",
    body
  ].join("\r\n")
}

/** The answer that a handler is preparing or sending. Node documents no way to it. */
export const answerUnderWay = (socket: Duplex): ServerResponse | undefined =>
  (socket as { readonly _httpMessage?: ServerResponse | null })._httpMessage ?? undefined

/** A `clientError` listener. An answer that has begun is cut, since a second one would look like its body. */
export const onClientError = (error: NodeJS.ErrnoException, socket: Duplex): void => {
  if (error.code === "ECONNRESET" || !socket.writable || answerUnderWay(socket)?.headersSent === true) {
    socket.destroy()
    return
  }
  socket.end(answerTo(error.code))
  const timer = setTimeout(() => socket.destroy(), lingerMillis)
  socket.once("close", () => clearTimeout(timer))
}
