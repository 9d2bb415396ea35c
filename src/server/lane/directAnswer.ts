/**
 * Usual answers, written straight to Node's response, since the platform's response object, header record and body cost
 * as much again as Node itself. Headers are names and values in turn.
 *
 * Leaf: Node's connections. The platform writes unusual answers, after a body that was not read to its end or for a
 * client that has gone: these functions return such an answer, and otherwise `sent`.
 */
import { HttpServerResponse } from "effect/http"
import type { IncomingMessage, ServerResponse } from "node:http"

/** Stands for an answer that is written already. */
export const sent: HttpServerResponse.HttpServerResponse = HttpServerResponse.empty({ status: 200 })

/** Node copies a text to send it with the head. Longer bodies are cheaper as bytes. */
const mergedBytesMax = 4096

/** A request without a body is `complete` only after its handler has begun. */
const isRead = ({ complete, headers }: IncomingMessage): boolean =>
  complete || (headers["content-length"] === undefined && headers["transfer-encoding"] === undefined)

const isUsual = (request: IncomingMessage, response: ServerResponse): boolean =>
  isRead(request) && !response.headersSent && !response.destroyed && request.method !== "HEAD"

/** Answers without a body. */
export const empty = (
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  headers: ReadonlyArray<string>
): HttpServerResponse.HttpServerResponse => {
  if (!isUsual(request, response)) return HttpServerResponse.empty({ status, headers: pairs(headers) })
  response.writeHead(status, headers as Array<string>)
  response.end()
  return sent
}

/** Answers 200 with these bytes. */
export const bytes = (
  request: IncomingMessage,
  response: ServerResponse,
  headers: ReadonlyArray<string>,
  contentType: string,
  body: Uint8Array
): HttpServerResponse.HttpServerResponse => {
  if (!isUsual(request, response)) return HttpServerResponse.uint8Array(body, { headers: pairs(headers), contentType })
  response.writeHead(200, [...headers, "content-type", contentType, "content-length", String(body.length)])
  if (body.length > mergedBytesMax) response.end(body)
  else response.end(textOf(body), "latin1")
  return sent
}

const pairs = (headers: ReadonlyArray<string>): Array<[string, string]> =>
  Array.from({ length: headers.length / 2 }, (_, at) => [headers[2 * at]!, headers[2 * at + 1]!])

const textOf = (body: Uint8Array): string =>
  (Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength)).toString("latin1")
