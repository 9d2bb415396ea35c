/** The answers that a connection is owed, over real sockets. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Http from "node:http"
import * as Net from "node:net"
import * as connections from "../../../src/server/lane/connections.ts"

const head = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

/** A server, and a client that has sent `text` and reads nothing. */
const connected = (answer: Http.RequestListener, text: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly server: Http.Server; readonly client: Net.Socket; readonly inbound: Net.Socket }>(
      (resume) => {
        const server = Http.createServer()
        connections.watch(server)
        assert.strictEqual(server.timeout, 30_000)
        server.on("request", (request, response) => {
          connections.count(request, response)
          answer(request, response)
        })
        server.listen(0, "127.0.0.1", () => {
          const client = Net.connect((server.address() as Net.AddressInfo).port, "127.0.0.1")
          client.on("error", () => {}).pause()
          client.write(text)
          server.once("connection", (inbound) => resume(Effect.succeed({ server, client, inbound })))
        })
      }
    ),
    ({ client, server }) =>
      Effect.sync(() => {
        client.destroy()
        server.close()
        server.closeAllConnections()
      })
  )

/** Raises the event that Node does after half a minute in which nothing moved on the connection. */
const silence = (response: Http.ServerResponse) => response.req.socket.emit("timeout")

const closed = (socket: Net.Socket) =>
  Effect.callback<void>((resume) => {
    if (socket.destroyed) resume(Effect.void)
    // Every other listener has been told by then.
    else socket.once("close", () => setImmediate(() => resume(Effect.void)))
  })

it.effect("a connection whose answer nobody reads is cut, and every answer that waited on it is gone once", () =>
  Effect.gen(function*() {
    const gone: Array<number> = []
    let requests = 0
    const { inbound } = yield* connected((_, response) => {
      const request = ++requests
      connections.whenGone(response, () => gone.push(request))
      response.end(Buffer.alloc(32 * 1024 * 1024))
      if (requests === 3) silence(response)
    }, head.repeat(3))
    yield* closed(inbound)
    assert.deepStrictEqual(gone, [1, 2, 3])
  }))

it.effect("a handler may take longer than an answer may stay unread", () =>
  Effect.gen(function*() {
    const { client, inbound } = yield* connected((_, response) => {
      silence(response)
      response.end("late")
    }, head)
    const text = yield* Effect.callback<string>((resume) => {
      client.on("data", (bytes: Buffer) => resume(Effect.succeed(bytes.toString()))).on(
        "close",
        () => resume(Effect.succeed("cut"))
      )
      client.resume()
    })
    assert.include(text, "late")
    assert.isFalse(inbound.destroyed)
  }))
