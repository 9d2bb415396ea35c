/** A peer that answers as a test says, over real sockets on loopback. */
import { Context, Effect, Layer } from "effect"
import type * as http from "node:http"
import { NodeId } from "../../src/domain/NodeId.ts"
import { Incarnation } from "../../src/domain/Version.ts"
import type { GossipMessage, MemberRecord } from "../../src/peer/PeerProtocol.ts"
import { serve } from "./loopback.ts"

export const nodeId = NodeId.make("node2")
export const incarnation = Incarnation.make("9f86d081884c")
export const record: MemberRecord = {
  nodeId,
  incarnation,
  generation: 1,
  heartbeat: 2,
  address: "127.0.0.1:1",
  vnodes: 100,
  state: "up",
  counter: 3
}
export const message: GossipMessage = {
  protocol: 1,
  from: record,
  settings: { replicationFactor: 3, writeQuorum: 2, readQuorum: 2, partitions: 1024 },
  digests: [],
  records: [],
  accused: []
}

export interface Received {
  readonly method: string | undefined
  readonly path: string | undefined
  readonly headers: http.IncomingHttpHeaders
  readonly body: Buffer
}

export type Respond = (response: http.ServerResponse, request: Received) => void

export class PeerServer extends Context.Service<PeerServer, {
  readonly address: string
  /** In order of arrival. */
  readonly received: ReadonlyArray<Received>
  /** Answers from now on. */
  readonly respond: (respond: Respond) => void
  /** From now on nobody listens at the address. */
  readonly close: Effect.Effect<void>
}>()("rondo/test/peer/PeerServer") {
  static readonly layer = Layer.effect(
    PeerServer,
    Effect.gen(function*() {
      const received: Array<Received> = []
      let respond: Respond = (response) => response.writeHead(404).end()
      const { close, port } = yield* serve((request, response) => {
        const chunks: Array<Buffer> = []
        request.on("data", (chunk: Buffer) => chunks.push(chunk))
        request.on("end", () => {
          const { headers, method, url } = request
          const whole = { method, path: url, headers, body: Buffer.concat(chunks) }
          received.push(whole)
          respond(response, whole)
        })
      })
      return {
        address: `127.0.0.1:${port}`,
        received,
        respond: (next) => {
          respond = next
        },
        close
      }
    })
  )
}

export const bytes = (body: Uint8Array): Respond => (response) => {
  response.writeHead(200, { "content-type": "application/octet-stream" }).end(body)
}

export const json = (body: unknown, status = 200): Respond => (response) => {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
}

export const text = (body: string, status = 200): Respond => (response) => {
  response.writeHead(status, { "content-type": "text/plain" }).end(body)
}

/** Announces more than it sends, and lets the connection go. */
export const cut = (body: string | Uint8Array, promisedBytes?: number): Respond => (response) => {
  response.writeHead(200, promisedBytes === undefined ? {} : { "content-length": String(promisedBytes) })
  response.write(body, () => response.destroy())
}
