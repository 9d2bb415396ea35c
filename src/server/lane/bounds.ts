/** The bounds of Node's HTTP server: connections, heads, and the time that slow clients may take. */
import type * as Http from "node:http"
import type { Socket } from "node:net"
import { answerUnderWay, headerBytesMax, onClientError } from "./connectionError.ts"
import * as connections from "./connections.ts"

/** Each costs a file descriptor and some kilobytes; more are turned away at once. */
const connectionsMax = 4096
/** A head that trickles in holds a connection no longer than this. */
const headersTimeoutMillis = 10_000
const requestTimeoutMillis = 60_000
/** Longer than common proxies keep theirs, so that they close first and never write into a closing connection. */
const keepAliveTimeoutMillis = 65_000
/** How often Node checks the two timeouts above. */
const connectionsCheckingIntervalMillis = 5_000

export const options: Http.ServerOptions = {
  maxHeaderSize: headerBytesMax,
  headersTimeout: headersTimeoutMillis,
  requestTimeout: requestTimeoutMillis,
  // `connections` answers a request without one, where Node would only close the connection.
  requireHostHeader: false,
  keepAliveTimeout: keepAliveTimeoutMillis,
  connectionsCheckingInterval: connectionsCheckingIntervalMillis,
  noDelay: true
}

/**
 * Bounds the server's connections and answers what its parser refuses. Call the result at a stop: it closes every
 * connection after its current answer, where Node would keep it for the next request.
 */
export const prepare = (server: Http.Server): () => void => {
  server.maxConnections = connectionsMax
  server.on("clientError", onClientError)
  connections.watch(server)
  const sockets = new Set<Socket>()
  server.on("connection", (socket) => {
    sockets.add(socket)
    socket.once("close", () => sockets.delete(socket))
  })
  return () => {
    for (const socket of sockets) {
      const answer = answerUnderWay(socket)
      if (answer !== undefined) answer.shouldKeepAlive = false
    }
  }
}
