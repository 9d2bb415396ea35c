/**
 * The answers that each connection is owed: between a request's head and the moment the system has taken the last byte.
 *
 * Leaf: Node's connections. A client may send requests ahead of the answers and never read one, so an answer counts
 * until it is gone, and a connection has only so many.
 */
import type * as Http from "node:http"
import type { Socket } from "node:net"
import { answerUnderWay } from "./connectionError.ts"

/** Requests that one connection may send ahead: far more than a client gains from, and few enough to hold in memory. */
export const unansweredMax = 16
/** An answer of which the client takes nothing for this long is given up, with its connection. */
const unreadTimeoutMillis = 30_000

/** What to do once the answer is gone, by the answer. */
type Owed = Map<Http.ServerResponse, (() => void) | undefined>

const owedBySocket = new WeakMap<Socket, Owed>()

const end = (owed: Owed, response: Http.ServerResponse): void => {
  const release = owed.get(response)
  owed.delete(response)
  release?.()
}

const owedOn = (socket: Socket): Owed => {
  const known = owedBySocket.get(socket)
  if (known !== undefined) return known
  const owed: Owed = new Map()
  owedBySocket.set(socket, owed)
  return owed
}

/** Begins to count the answer. Node closes it with its connection too, also while it waits behind another. */
const onRequest = ({ socket }: Http.IncomingMessage, response: Http.ServerResponse): void => {
  const owed = owedOn(socket)
  owed.set(response, undefined)
  response.once("close", () => end(owed, response))
}

/** Nothing moved for a while. A handler that works and a body that arrives have bounds of their own. */
const onTimeout = (socket: Socket): void => {
  if (answerUnderWay(socket) === undefined || socket.writableLength > 0) socket.destroy()
}

/** Counts the answers of this server, and cuts connections that do not read them. To be called before it has listeners. */
export const watch = (server: Http.Server): void => {
  server.on("request", onRequest)
  server.on("checkContinue", onRequest)
  server.setTimeout(unreadTimeoutMillis, onTimeout)
}

/** Whether the connection has sent too many requests ahead of their answers. */
export const isOverdrawn = (socket: Socket): boolean => (owedBySocket.get(socket)?.size ?? 0) > unansweredMax

/** Runs `release` once, when the answer is gone or its connection is; at once when that was before. */
export const whenGone = (response: Http.ServerResponse, release: () => void): void => {
  const owed = owedBySocket.get(response.req.socket)
  if (owed?.has(response)) owed.set(response, release)
  else release()
}
