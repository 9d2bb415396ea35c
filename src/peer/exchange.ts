/**
 * Posts bytes to peers and returns the bytes of their answers: the path of every batch, over connections that are kept.
 *
 * Leaf: the outbound network, through undici's connector. The rest is written by hand: a connection has one request
 * under way, whose head is the same text every time, and `httpAnswer` reads the answer. Undici's own client spends
 * twice as much on a message, and Effect's nine times.
 */
import type * as Undici from "@effect/platform-node/Undici"
import { Clock, Effect } from "effect"
import type { Socket } from "node:net"
import { parseAddress } from "../config/address.ts"
import { uptimeMillisUnsafe } from "../observability/uptime.ts"
import * as HttpAnswer from "./httpAnswer.ts"
import { PeerFailed } from "./PeerError.ts"

/** Shorter than a node keeps an idle connection, so that no request goes out on one that is just being closed. */
const idleMillisMax = 55_000

export interface Exchange {
  /**
   * Fails as `unreachable` without a whole answer. Interruption closes the connection, since an answer may still come
   * on it. Each call under way has its own connection: callers bound how many there are.
   */
  readonly post: (address: string, path: string, body: Uint8Array) => Effect.Effect<HttpAnswer.Answer, PeerFailed>
}

type Resume = (answer: Effect.Effect<HttpAnswer.Answer, PeerFailed>) => void

const unreachable = (peer: string, { message }: Error) =>
  Effect.fail(new PeerFailed({ peer, reason: "unreachable", detail: message }))

/** One request at a time. */
class Connection {
  readonly socket: Socket
  idleSinceMillis = 0
  private readonly onIdle: (connection: Connection) => void
  private resume: Resume | undefined
  private failure: Error | undefined
  private readonly reader = new HttpAnswer.Reader()

  constructor(address: string, socket: Socket, onIdle: (connection: Connection) => void) {
    this.socket = socket
    this.onIdle = onIdle
    socket.on("data", (chunk: Uint8Array) => this.receive(chunk))
    socket.on("end", () => socket.destroy())
    socket.on("error", (error) => {
      this.failure = error
    })
    socket.on(
      "close",
      () => this.end(unreachable(address, this.failure ?? new Error("the peer closed the connection")))
    )
  }

  send(head: string, body: Uint8Array, resume: Resume): void {
    this.resume = resume
    this.socket.cork()
    this.socket.write(`${head}${body.length}\r\n\r\n`, "latin1")
    this.socket.write(body)
    this.socket.uncork()
  }

  private receive(chunk: Uint8Array): void {
    const read = this.resume === undefined ? "malformed" : this.reader.read(chunk)
    if (read === "partial") return
    if (read === "malformed") {
      this.socket.destroy(new Error("the peer's answer is not HTTP as nodes speak it"))
      return
    }
    // A peer that answers before it has read the whole request did not understand it.
    if (read.isReusable && this.socket.writableLength === 0) this.onIdle(this)
    else this.socket.destroy()
    this.end(Effect.succeed(read.answer))
  }

  private end(answer: Effect.Effect<HttpAnswer.Answer, PeerFailed>): void {
    const { resume } = this
    this.resume = undefined
    resume?.(answer)
  }
}

/** Sends these headers with every request. Closes its connections with the scope. */
export const make = Effect.fnUntraced(function*(
  connect: Undici.buildConnector.connector,
  headers: Readonly<Record<string, string>>
) {
  const clock = yield* Clock.Clock
  const open = new Set<Connection>()
  const idle = new Map<string, Array<Connection>>()
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("")
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const { socket } of open) socket.destroy()
    })
  )

  const idleAt = (address: string): Array<Connection> => {
    const known = idle.get(address)
    if (known !== undefined) return known
    const connections: Array<Connection> = []
    idle.set(address, connections)
    return connections
  }

  /** The one used last, so that unneeded ones grow old. */
  const takeIdle = (address: string): Connection | undefined => {
    const connections = idleAt(address)
    const since = uptimeMillisUnsafe(clock) - idleMillisMax
    for (let last = connections.pop(); last !== undefined; last = connections.pop()) {
      if (last.idleSinceMillis > since && last.socket.writable) return last
      last.socket.destroy()
    }
    return undefined
  }

  const opened = (address: string, socket: Socket): Connection => {
    const connection = new Connection(address, socket, (free) => {
      free.idleSinceMillis = uptimeMillisUnsafe(clock)
      idleAt(address).push(free)
    })
    open.add(connection)
    socket.on("close", () => {
      open.delete(connection)
      idle.set(address, idleAt(address).filter((other) => other !== connection))
    })
    return connection
  }

  const post: Exchange["post"] = (address, path, body) =>
    Effect.callback((resume) => {
      const target = parseAddress(address)
      if (target === undefined) return resume(unreachable(address, new Error("not host:port")))
      const head = `POST ${path} HTTP/1.1\r\nhost: ${address}\r\n${lines}content-length: `
      let isInterrupted = false
      let connection = takeIdle(address)
      if (connection !== undefined) {
        connection.send(head, body, resume)
      } else {
        connect({ hostname: target.host, port: String(target.port), protocol: "http:" }, (error, socket) => {
          if (error !== null) return resume(unreachable(address, error))
          if (isInterrupted) return socket.destroy()
          connection = opened(address, socket)
          connection.send(head, body, resume)
        })
      }
      return Effect.sync(() => {
        isInterrupted = true
        connection?.socket.destroy()
      })
    })

  return { post }
})
