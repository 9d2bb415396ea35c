/**
 * The answers that each connection is owed: between a request's head and the moment the system has taken the last byte.
 *
 * Leaf: Node's connections. A client may send requests ahead of the answers and never read one, so an answer counts
 * until it is gone, and a connection has only so many. The counts live on Node's own objects: on the path of every
 * request, a table beside them costs more than all that is done with it.
 */
import type * as Http from "node:http"
import type { Socket } from "node:net"
import { answerUnderWay } from "./connectionError.ts"

/** Requests that one connection may send ahead: far more than a client gains from, and few enough to hold in memory. */
export const unansweredMax = 16
/** An answer of which the client takes nothing for this long is given up, with its connection. */
const unreadTimeoutMillis = 30_000

const owed = Symbol("rondo/server/lane/connections/owed")
const release = Symbol("rondo/server/lane/connections/release")

type Connection = Socket & { [owed]?: number }

/** `release` is absent before the answer is counted, and `gone` once it is gone. */
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

/** Begins to count the answer; does nothing when it is counted already. */
export const count = (request: Http.IncomingMessage, response: Http.ServerResponse): void => {
  const answer: Answer = response
  if (answer[release] !== undefined) return
  const connection: Connection = request.socket
  connection[owed] = (connection[owed] ?? 0) + 1
  answer[release] = nothing
  answer.on("close", onClose)
}

/** Nothing moved for a while. A handler that works and a body that arrives have bounds of their own. */
const onTimeout = (socket: Socket): void => {
  if (answerUnderWay(socket) === undefined || socket.writableLength > 0) socket.destroy()
}

/** Counts the answers of this server, and cuts connections that do not read them. To be called before it has listeners. */
export const watch = (server: Http.Server): void => {
  server.on("request", count)
  server.on("checkContinue", count)
  server.setTimeout(unreadTimeoutMillis, onTimeout)
}

/** Whether the connection has sent too many requests ahead of their answers. */
export const isOverdrawn = (socket: Socket): boolean => ((socket as Connection)[owed] ?? 0) > unansweredMax

/** Runs `run` once, when the answer is gone or its connection is; at once when that was before. */
export const whenGone = (response: Http.ServerResponse, run: () => void): void => {
  const answer: Answer = response
  if (answer[release] === undefined || answer[release] === gone) run()
  else answer[release] = run
}
