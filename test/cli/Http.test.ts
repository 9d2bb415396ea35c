import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Http } from "../../src/cli/Http.ts"
import { serve } from "../peer/loopback.ts"

describe("Http", () => {
  it.effect("sends path, headers and body as they are and gives the whole answer", () =>
    Effect.gen(function*() {
      const { port } = yield* serve((request, response) => {
        let body = ""
        request.on("data", (chunk) => body += chunk)
        request.on("end", () => {
          response.writeHead(201, { etag: "\"1\"" })
          response.end(`${request.method} ${request.url} ${request.headers["content-type"]} ${body}`)
        })
      })
      const { send } = yield* Http
      const answer = yield* send({
        origin: `http://127.0.0.1:${port}`,
        method: "PUT",
        path: "/kv/../%2E?w=1",
        headers: { "content-type": "a/b" },
        body: Buffer.from("v")
      })
      assert.strictEqual(answer.status, 201)
      assert.strictEqual(answer.headers["etag"], "\"1\"")
      assert.strictEqual(answer.body.toString(), "PUT /kv/../%2E?w=1 a/b v")
    }).pipe(Effect.provide(Http.layer)))

  it.effect("names why a node cannot be reached or broke off", () =>
    Effect.gen(function*() {
      const { send } = yield* Http
      const { close, port } = yield* serve((request) => request.socket.destroy())
      const origin = `http://127.0.0.1:${port}`
      const broken = yield* Effect.flip(send({ origin, method: "GET", path: "/" }))
      assert.strictEqual(broken.code, "UND_ERR_SOCKET")
      assert.strictEqual(broken.message, `${origin}: UND_ERR_SOCKET`)
      yield* close
      const refused = yield* Effect.flip(send({ origin, method: "GET", path: "/" }))
      assert.strictEqual(refused.code, "ECONNREFUSED")
      assert.strictEqual(refused.message, `cannot connect to ${origin}: is a node running there?`)
    }).pipe(Effect.provide(Http.layer)))

  it.effect("streams a body, and fails with the status of an answer that is none", () =>
    Effect.gen(function*() {
      const { stream } = yield* Http
      const { port } = yield* serve((request, response) => {
        if (request.url === "/no") {
          response.writeHead(401)
          return response.end("who?")
        }
        if (request.url === "/cut") {
          response.write("half")
          return setImmediate(() => response.destroy())
        }
        response.write("a")
        return response.end("b")
      })
      const get = (path: string) =>
        stream({ origin: `http://127.0.0.1:${port}`, method: "GET", path }).pipe(Stream.runCollect)
      assert.strictEqual(Buffer.concat(yield* get("/")).toString(), "ab")
      assert.strictEqual((yield* Effect.flip(get("/no"))).code, "401")
      assert.isString((yield* Effect.flip(get("/cut"))).code)
    }).pipe(Effect.provide(Http.layer)))
})
