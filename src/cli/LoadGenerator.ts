/**
 * Leaf: sends HTTP/1.1 requests over raw sockets and measures their latency. It shares the machine with the cluster
 * that it measures, so it does little: one request in flight per connection, no header objects, no promises, one timer.
 *
 * Closed loop: a connection sends its next request when the last one is answered. So latencies under overload are those
 * of as many patient clients, not those of a fixed arrival rate.
 */
import * as net from "node:net"
import { performance } from "node:perf_hooks"
import * as SeededRandom from "../domain/SeededRandom.ts"
import * as HttpAnswer from "../peer/httpAnswer.ts"
import * as Histogram from "./Histogram.ts"

export interface Load {
  /** Connections are spread evenly over these. */
  readonly targets: ReadonlyArray<{ readonly host: string; readonly port: number }>
  readonly connections: number
  readonly operation: "put" | "get" | "mixed"
  readonly valueBytes: number
  readonly keys: ReadonlyArray<string>
  readonly seed: number
  /** Added to each request's path, such as `?w=one`. */
  readonly query: string
  /** Requests answered during the first part are not counted. */
  readonly warmUpMillis: number
  /** `undefined`: send each key once, then stop. */
  readonly durationMillis: number | undefined
}

export interface Outcome {
  readonly requests: number
  readonly seconds: number
  readonly requestsPerSecond: number
  readonly p50Millis: number
  readonly p99Millis: number
  readonly maxMillis: number
  /** Counts by kind: a status, or the system's code of a broken connection. */
  readonly errors: Readonly<Record<string, number>>
}

/** A slower answer counts as an error, and its connection is closed. */
const answerMillisMax = 10_000
/** Without a duration, the load also stops when no answer came for this long. */
const silenceMillisMax = 15_000
/** Pause before a broken connection is opened again, so that a dead node is not hammered. */
const reconnectMillis = 100
const sweepMillis = 50

/**
 * Distinct keys of 20 letters. Equal seeds give equal keys, so that two systems can be measured with the same requests.
 */
export const keysOf = (seed: number, count: number): ReadonlyArray<string> => {
  const random = SeededRandom.make(seed)
  const drawn = new Set<string>()
  while (drawn.size < count) drawn.add(`bench/${SeededRandom.text(random, 14)}`)
  return Array.from(drawn)
}

/** Runs the load and calls `done` once; the returned function stops it early. */
export const run = (load: Load, done: (outcome: Outcome) => void): () => void => {
  const random = SeededRandom.make(load.seed)
  const value = SeededRandom.text(random, load.valueBytes)
  const histogram = Histogram.make()
  const errors: Record<string, number> = {}
  const startedAtMillis = performance.now()
  const countFromMillis = startedAtMillis + load.warmUpMillis
  const endAtMillis = load.durationMillis === undefined ? Infinity : countFromMillis + load.durationMillis
  let next = 0
  let open = 0
  let stopped = false
  let lastAnswerAtMillis = startedAtMillis

  const more = () =>
    !stopped && (load.durationMillis === undefined
      ? next < load.keys.length && performance.now() - lastAnswerAtMillis < silenceMillisMax
      : performance.now() < endAtMillis)
  const draw = (): string | undefined => {
    if (!more()) return undefined
    return load.keys[load.durationMillis === undefined ? next++ : random.below(load.keys.length)]
  }
  const request = (host: string): string | undefined => {
    const key = draw()
    if (key === undefined) return undefined
    const isPut = load.operation === "put" || (load.operation === "mixed" && random.below(2) === 0)
    return isPut ? putText(host, key, value, load.query) : getText(host, key, load.query)
  }
  const failed = (kind: string) => {
    errors[kind] = (errors[kind] ?? 0) + 1
  }
  const answered = (status: number, sentAtMillis: number) => {
    const nowMillis = performance.now()
    lastAnswerAtMillis = nowMillis
    if (nowMillis < countFromMillis || nowMillis > endAtMillis) return
    if (status < 200 || status > 299) return failed(String(status))
    Histogram.record(histogram, (nowMillis - sentAtMillis) * 1000)
  }
  const finished = () => {
    if (--open > 0) return
    clearInterval(sweep)
    const seconds = (Math.min(performance.now(), endAtMillis) - countFromMillis) / 1000
    done({
      requests: histogram.count,
      seconds,
      requestsPerSecond: seconds > 0 ? histogram.count / seconds : 0,
      p50Millis: Histogram.percentileMicros(histogram, 0.5) / 1000,
      p99Millis: Histogram.percentileMicros(histogram, 0.99) / 1000,
      maxMillis: histogram.maxMicros / 1000,
      errors
    })
  }

  const connections = Array.from({ length: load.connections }, (_, index) => {
    open++
    return new Connection(load.targets[index % load.targets.length]!, {
      more,
      request,
      answered,
      failed,
      finished
    })
  })
  const sweep = setInterval(() => {
    const nowMillis = performance.now()
    for (const connection of connections) connection.checkDeadline(nowMillis)
  }, sweepMillis)
  return () => {
    stopped = true
  }
}

export const putText = (host: string, key: string, value: string, query = ""): string =>
  `PUT /kv/${key}${query} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: text/plain\r\n` +
  `Content-Length: ${value.length}\r\n\r\n${value}`

export const getText = (host: string, key: string, query = ""): string =>
  `GET /kv/${key}${query} HTTP/1.1\r\nHost: ${host}\r\n\r\n`

export interface Events {
  readonly more: () => boolean
  /** Without one the connection ends, or waits for `send` while there is more to come. */
  readonly request: (host: string) => string | undefined
  readonly answered: (status: number, sentAtMillis: number) => void
  readonly failed: (kind: string) => void
  readonly finished: () => void
}

export class Connection {
  readonly target: { readonly host: string; readonly port: number }
  readonly events: Events
  socket: net.Socket
  answers = new HttpAnswer.Reader()
  sentAtMillis = 0
  waiting = false
  parked = false
  closed = false

  constructor(target: { readonly host: string; readonly port: number }, events: Events) {
    this.target = target
    this.events = events
    this.socket = this.connect()
  }

  connect(): net.Socket {
    const socket = net.connect({ host: this.target.host, port: this.target.port, noDelay: true })
    this.answers = new HttpAnswer.Reader()
    this.waiting = false
    this.parked = false
    socket.on("connect", () => this.send())
    socket.on("data", (bytes: Buffer) => this.receive(bytes))
    let reason = "connection closed"
    socket.on("error", (error: NodeJS.ErrnoException) => {
      reason = error.code ?? error.message
    })
    socket.on("close", () => this.lost(reason))
    return socket
  }

  send(): void {
    const request = this.events.request(this.target.host)
    this.parked = request === undefined
    if (request === undefined) return this.events.more() ? undefined : this.finish()
    this.waiting = true
    this.sentAtMillis = performance.now()
    this.socket.write(request, "latin1")
  }

  receive(bytes: Buffer): void {
    const read = this.answers.read(bytes)
    if (read === "partial") return
    if (read === "malformed") return this.cut("malformed answer")
    this.waiting = false
    this.events.answered(read.answer.status, this.sentAtMillis)
    this.send()
  }

  cut(code: string): void {
    this.socket.destroy(Object.assign(new Error(code), { code }))
  }

  checkDeadline(nowMillis: number): void {
    if (this.waiting && nowMillis - this.sentAtMillis > answerMillisMax) this.cut("timeout")
  }

  lost(reason: string): void {
    if (this.closed) return
    this.events.failed(reason)
    setTimeout(() => {
      if (this.events.more()) this.socket = this.connect()
      else this.finish()
    }, reconnectMillis)
  }

  finish(): void {
    if (this.closed) return
    this.closed = true
    this.socket.destroy()
    this.events.finished()
  }
}
