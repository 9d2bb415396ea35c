/**
 * Counts the answers that each connection still owes its client. A client may send requests ahead and never read an
 * answer, so an answer counts from the request's head until the system has taken its last byte, and their number is
 * bounded.
 *
 * Leaf: Node's connections. The counts are properties of Node's own objects, because every request changes them: a
 * table would cost more than the rest of this module.
 */
import { NodeHttpServerRequest } from "@effect/platform-node"
import type { HttpServerRequest, HttpServerResponse } from "effect/http"
import type * as Http from "node:http"
import type { Socket } from "node:net"
import * as Problem from "../../api/Problem.ts"
import { problemResponse } from "../problemResponse.ts"
import { answerUnderWay } from "./connectionError.ts"

/** Requests that a connection may send ahead: more than a client gains from, few enough to hold in memory. */
const unansweredMax = 16
/** A client that reads nothing of its answer for this long loses the connection. */
const unreadTimeoutMillis = 30_000
/** A peer that compares itself with this node sends many cells between two versions that it reads. */
const peerUnreadTimeoutMillis = 600_000

const owed = Symbol("rondo/server/lane/connections/owed")
const release = Symbol("rondo/server/lane/connections/release")

type Response = HttpServerResponse.HttpServerResponse
type Connection = Socket & { [owed]?: number }

/** `release` is absent on an answer that is not counted, and `gone` once the answer is gone. */
type Answer = Http.ServerResponse & { [release]?: () => void }

const nothing = () => {}
const gone = () => {}

/** Listens on the answer. Node closes it with its connection too, also while it waits behind another. */
function onClose(this: Answer): void {
  const then = this[release]!
  if (then === gone) return
  this[release] = gone
  const connection: Connection = this.req.socket
  connection[owed] = connection[owed]! - 1
  then()
}

export const count = (request: Http.IncomingMessage, response: Http.ServerResponse): void => {
  const answer: Answer = response
  const connection: Connection = request.socket
  connection[owed] = (connection[owed] ?? 0) + 1
  answer[release] = nothing
  answer.on("close", onClose)
}

/** Nothing moved for a while. Working handlers and arriving bodies have other bounds. */
const onTimeout = (socket: Socket): void => {
  if (answerUnderWay(socket) === undefined || socket.writableLength > 0) socket.destroy()
}

/** Cuts connections of this server that do not read their answers. */
export const watch = (server: Http.Server): void => {
  server.setTimeout(unreadTimeoutMillis, onTimeout)
}

/** Gives the peer that reads this answer more time. Node sets the usual time again when the answer is sent. */
export const giveTime = (request: HttpServerRequest.HttpServerRequest): void => {
  NodeHttpServerRequest.toIncomingMessage(request).socket.setTimeout(peerUnreadTimeoutMillis)
}

/** The problem of a request that its connection must not send, if any. It ends the connection. */
export const refusalOf = (request: Http.IncomingMessage): Response | undefined => {
  const connection: Connection = request.socket
  if ((connection[owed] ?? 0) > unansweredMax) {
    return closing(
      new Problem.Overloaded({
        detail: `${unansweredMax} requests of this connection wait for their answers: read them first`,
        limit: unansweredMax
      })
    )
  }
  if (request.headers.host === undefined && request.httpVersion === "1.1") {
    return closing(new Problem.BadRequest({ detail: "a request of HTTP/1.1 has a Host header" }))
  }
  return undefined
}

const closing = (problem: Problem.Problem): Response => problemResponse(problem, { connection: "close" })

/** Runs `run` once, when the answer or its connection is gone. */
export const whenGone = (response: Http.ServerResponse, run: () => void): void => {
  const answer: Answer = response
  if (answer[release] === undefined || answer[release] === gone) run()
  else answer[release] = run
}
