/**
 * One node of the baseline: a three-node store on `node:http` alone, in memory, without framework, log or sync. It
 * replicates as Rondo does (N = 3, W = 2, R = 2, batches that fill while a request to the peer is in flight). So the
 * ratio between the two is the cost of everything else: Effect, typed declarations, and the log on disk.
 *
 *     node bench/bareNode.ts INDEX PORT0 PORT1 PORT2
 *
 * It makes no promises: a failed operation is answered with 503, and nothing is repaired.
 */
import * as http from "node:http"

const [index, ...ports] = process.argv.slice(2).map(Number) as [number, number, number, number]

interface Held {
  readonly counter: number
  readonly value: Buffer
}

const held = new Map<string, Held>()
let counter = 0

const put = (key: string, cell: Held): void => {
  const current = held.get(key)
  if (current === undefined || current.counter < cell.counter) held.set(key, cell)
  if (cell.counter > counter) counter = cell.counter
}

/** One replica's part of an operation, waiting to be sent. Without a `cell` it reads the version. */
interface Item {
  readonly key: string
  readonly cell: Held | undefined
  readonly answered: (counter: number) => void
}

const stats = { batches: 0, items: 0 }
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })

/** Items that arrive while a request is in flight go out together in the next one. */
class Peer {
  readonly port: number
  queue: Array<Item> = []
  busy = false

  constructor(port: number) {
    this.port = port
  }

  send(item: Item): void {
    this.queue.push(item)
    if (!this.busy) this.flush()
  }

  flush(): void {
    const batch = this.queue
    if (batch.length === 0) return
    this.queue = []
    this.busy = true
    stats.batches++
    stats.items += batch.length
    const body = encode(batch)
    const finish = (answer: Buffer | undefined) => {
      this.busy = false
      for (let at = 0; at < batch.length; at++) {
        batch[at]!.answered(answer === undefined ? -1 : answer.readDoubleBE(at * 8))
      }
      this.flush()
    }
    const request = http.request(
      {
        host: "127.0.0.1",
        port: this.port,
        path: "/internal",
        method: "POST",
        agent,
        headers: { "content-length": body.length }
      },
      (response) => collect(response, finish)
    )
    request.on("error", () => finish(undefined))
    request.end(body)
  }
}

/** For each item: key length (2), counter (8, negative for a read), value length (4), key, value. */
const encode = (batch: ReadonlyArray<Item>): Buffer => {
  let size = 0
  for (const { cell, key } of batch) size += 14 + key.length + (cell === undefined ? 0 : cell.value.length)
  const bytes = Buffer.allocUnsafe(size)
  let at = 0
  for (const { cell, key } of batch) {
    bytes.writeUInt16BE(key.length, at)
    bytes.writeDoubleBE(cell === undefined ? -1 : cell.counter, at + 2)
    bytes.writeUInt32BE(cell === undefined ? 0 : cell.value.length, at + 10)
    bytes.write(key, at + 14, "latin1")
    at += 14 + key.length
    if (cell !== undefined) at += cell.value.copy(bytes, at)
  }
  return bytes
}

/** Applies a batch; answers each item with the stored counter, in 8 bytes. */
const apply = (bytes: Buffer): Buffer => {
  const answers: Array<number> = []
  let at = 0
  while (at < bytes.length) {
    const keyLength = bytes.readUInt16BE(at)
    const itsCounter = bytes.readDoubleBE(at + 2)
    const valueLength = bytes.readUInt32BE(at + 10)
    const valueStart = at + 14 + keyLength
    const key = bytes.toString("latin1", at + 14, valueStart)
    at = valueStart + valueLength
    // A copy, because a view would keep the whole batch in memory.
    if (itsCounter >= 0) put(key, { counter: itsCounter, value: Buffer.from(bytes.subarray(valueStart, at)) })
    answers.push(held.get(key)?.counter ?? 0)
  }
  const body = Buffer.allocUnsafe(answers.length * 8)
  for (let item = 0; item < answers.length; item++) body.writeDoubleBE(answers[item]!, item * 8)
  return body
}

const collect = (stream: http.IncomingMessage, done: (body: Buffer) => void): void => {
  let first: Buffer | undefined
  let chunks: Array<Buffer> | undefined
  stream.on("data", (chunk: Buffer) => {
    if (first === undefined) first = chunk
    else (chunks ??= [first]).push(chunk)
  })
  stream.on("end", () => done(chunks === undefined ? first ?? Buffer.alloc(0) : Buffer.concat(chunks)))
}

const peers = ports.filter((_, at) => at !== index).map((port) => new Peer(port))
let turn = 0

const answer = (response: http.ServerResponse, status: number, body?: Buffer) => {
  response.writeHead(status, { "content-length": body === undefined ? 0 : body.length })
  response.end(body)
}

/** Acknowledges when this node and one peer have the value. */
const handlePut = (key: string, value: Buffer, response: http.ServerResponse) => {
  const cell = { counter: ++counter, value }
  put(key, cell)
  let failed = 0
  let acknowledged = false
  const answered = (itsCounter: number) => {
    if (acknowledged) return
    if (itsCounter < 0 && ++failed < peers.length) return
    acknowledged = true
    answer(response, itsCounter < 0 ? 503 : 201)
  }
  for (const peer of peers) peer.send({ key, cell, answered })
}

/** This node holds every key. It answers when the version of one peer agrees. */
const handleGet = (key: string, response: http.ServerResponse) => {
  peers[turn++ % peers.length]!.send({
    key,
    cell: undefined,
    answered: (itsCounter) => {
      const own = held.get(key)
      if (itsCounter < 0 || itsCounter > (own?.counter ?? 0)) return answer(response, 503)
      if (own === undefined) answer(response, 404)
      else answer(response, 200, own.value)
    }
  })
}

const server = http.createServer((request, response) => {
  const url = request.url!
  if (url === "/internal") return collect(request, (body) => answer(response, 200, apply(body)))
  if (url === "/readyz") return answer(response, 200)
  if (url === "/stats") return answer(response, 200, Buffer.from(JSON.stringify(stats)))
  const key = url.slice("/kv/".length)
  if (request.method === "PUT") return collect(request, (value) => handlePut(key, value, response))
  handleGet(key, response)
})
server.keepAliveTimeout = 60_000
server.listen(ports[index]!, "127.0.0.1")
process.on("SIGTERM", () => process.exit(0))
// The benchmark is the parent process: this pipe closes when it ends.
process.stdin.on("end", () => process.exit(0)).resume()
