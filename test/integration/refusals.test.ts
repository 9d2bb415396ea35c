/** The promise clear-refusal over real sockets: bad input gets its answer and leaves every node ready. */
import { once } from "node:events"
import { connect } from "node:net"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { Cluster, send } from "./Cluster.ts"

interface Refusal {
  readonly what: string
  readonly method?: string
  readonly path: string
  readonly headers?: Record<string, string>
  readonly body?: string
  readonly status: number
  readonly tag: string
}

const refusals: ReadonlyArray<Refusal> = [
  { what: "an empty key", path: "/kv/", status: 400, tag: "InvalidKey" },
  { what: "percent-encoding that is not UTF-8", path: "/kv/%ff", status: 400, tag: "InvalidKey" },
  { what: "a broken escape", path: "/kv/%zz", status: 400, tag: "InvalidKey" },
  { what: "a key of 1,025 bytes", path: `/kv/${"k".repeat(1025)}`, status: 414, tag: "KeyTooLong" },
  { what: "more replicas than there are", path: "/kv/a?r=4", status: 400, tag: "InvalidParameter" },
  { what: "a misspelt option", path: "/kv/a?tiemout=1", status: 400, tag: "InvalidParameter" },
  { what: "a deadline of no time", path: "/kv/a?timeout=0", status: 400, tag: "InvalidParameter" },
  { what: "a key that is not there", path: "/kv/nobody", status: 404, tag: "KeyNotFound" },
  { what: "a path that is not there", path: "/nowhere", status: 404, tag: "NotFound" },
  { what: "a method that is not there", method: "POST", path: "/kv/a", status: 405, tag: "MethodNotAllowed" },
  {
    what: "a quorum for a write that is none",
    method: "PUT",
    path: "/kv/a?w=0",
    body: "x",
    status: 400,
    tag: "InvalidParameter"
  },
  {
    what: "a value of more than 1 MiB",
    method: "PUT",
    path: "/kv/a",
    body: "x".repeat(1024 * 1024 + 1),
    status: 413,
    tag: "ValueTooLarge"
  },
  {
    what: "a conditional write",
    method: "PUT",
    path: "/kv/a",
    headers: { "if-match": `"1"` },
    body: "x",
    status: 501,
    tag: "NotImplemented"
  }
]

/** Sends raw bytes and answers the status line. */
const raw = async (port: number, bytes: string): Promise<string> => {
  const socket = connect(port, "127.0.0.1")
  let text = ""
  socket.setEncoding("latin1").on("data", (more: string) => {
    text += more
  })
  socket.on("error", () => {})
  socket.write(bytes, "latin1")
  await once(socket, "close")
  return text.split("\r\n")[0]!
}

describe("bad input", () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await Cluster.start()
  })
  afterAll(() => cluster.stop())

  it.each(refusals)("is refused: $what", async ({ body, headers, method, path, status, tag }) => {
    const answer = await send(`${cluster.url(0)}${path}`, {
      method: method ?? "GET",
      ...(body === undefined ? {} : { body }),
      ...(headers === undefined ? {} : { headers })
    })
    assert.strictEqual(answer.status, status)
    assert.match(answer.headers.get("content-type") ?? "", /^application\/problem\+json/)
    assert.strictEqual((await answer.json() as { readonly _tag: string })._tag, tag)
  })

  it("is refused: bytes that are no HTTP, and headers beyond 16 KiB", async () => {
    assert.match(await raw(cluster.ports[0]!, "\u0000\u0001\u0002 what?\r\n\r\n"), /^HTTP\/1\.1 400 /)
    const headers = `GET /kv/a HTTP/1.1\r\nHost: x\r\nX-Long: ${"x".repeat(20_000)}\r\n\r\n`
    assert.match(await raw(cluster.ports[0]!, headers), /^HTTP\/1\.1 431 /)
  })

  it("is refused: a peer's request without the secret, which neither reads nor writes", async () => {
    for (const path of ["/internal/kv", "/internal/read", "/gossip"]) {
      const answer = await send(`${cluster.url(0)}${path}`, { method: "POST", body: "{}" })
      await answer.text()
      assert.strictEqual(answer.status, 401, path)
    }
  })

  it("left every node ready, and nothing written", async () => {
    for (const node of [0, 1, 2]) {
      const ready = await send(`${cluster.url(node)}/readyz?verbose`)
      assert.strictEqual(ready.status, 200, await ready.text())
      const answer = await send(cluster.keyUrl(node, "a"))
      await answer.text()
      assert.strictEqual(answer.status, 404)
    }
  })
})
