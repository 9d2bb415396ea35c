/**
 * The simulated network: messages between processes, late, lost, twice or out of order.
 *
 * An exchange is one request and its answer. A fault shows as it would to a program: the answer never comes (the caller
 * has timeouts), or the connection is refused or reset. Each direction is a link of its own, so a partition may be
 * one-way.
 */
import { Effect, Exit, type Fiber } from "effect"
import * as Bytes from "../domain/bytes.ts"
import type { SeededRandom } from "../domain/SeededRandom.ts"
import { PeerFailed } from "../peer/PeerError.ts"
import type { Kind } from "./peerMessages.ts"
import type { Process, World } from "./World.ts"

/** `machineIsUp`: whether its kernel answers for a process that is gone. */
export interface Host {
  readonly name: string
  readonly address: string
  readonly process: () => Process | undefined
  readonly machineIsUp: () => boolean
  readonly serve: (
    kind: Kind,
    body: Uint8Array,
    onExit: (exit: Exit.Exit<Uint8Array, PeerFailed>) => void
  ) => Fiber.Fiber<unknown, unknown> | undefined
}

/** Faults of messages on their way from one host to another. */
export interface Weather {
  lossShare: number
  duplicateShare: number
  /** Beyond the usual delay, drawn for each message: reorders them too. */
  extraDelayMillisMax: number
}

/** A request on its way, which may not arrive. */
export interface Sent {
  readonly from: string
  readonly to: string
  readonly kind: Kind
  readonly body: Uint8Array
}

export interface Counts {
  messages: number
  lost: number
  duplicated: number
  late: number
}

const usualDelayMillis = { least: 0.1, most: 1 }
const clearWeather = (): Weather => ({ lossShare: 0, duplicateShare: 0, extraDelayMillisMax: 0 })

export class Network {
  private readonly world: World
  private readonly random: SeededRandom
  /** Where messages on their way live: it never stands still and never dies. */
  private readonly wire: Process
  private readonly hosts = new Map<string, Host>()
  /** How many faults cut a direction: it is mended when the last of them ends. */
  private readonly cuts = new Map<string, number>()
  private readonly weathers = new Map<string, Weather>()
  private readonly open = new Set<Exchanging>()
  readonly counts: Counts = { messages: 0, lost: 0, duplicated: 0, late: 0 }
  /** On every link. */
  weather = clearWeather()
  /** Called with every request. */
  onSent: (request: Sent) => void = () => {}

  constructor(world: World, wire: Process, random: SeededRandom) {
    this.world = world
    this.random = random
    this.wire = wire
  }

  add(host: Host): void {
    this.hosts.set(host.address, host)
  }

  /** Drops everything in this direction. */
  cut(from: string, to: string): void {
    this.cuts.set(`${from}>${to}`, (this.cuts.get(`${from}>${to}`) ?? 0) + 1)
  }

  mend(from: string, to: string): void {
    const others = (this.cuts.get(`${from}>${to}`) ?? 0) - 1
    if (others > 0) this.cuts.set(`${from}>${to}`, others)
    else this.cuts.delete(`${from}>${to}`)
  }

  /** On one host's links, in both directions. */
  weatherOf(host: string): Weather {
    const known = this.weathers.get(host)
    if (known !== undefined) return known
    const weather = clearWeather()
    this.weathers.set(host, weather)
    return weather
  }

  heal(): void {
    this.cuts.clear()
    this.weathers.clear()
    this.weather = clearWeather()
  }

  /** Resets the connections of a process that died; those of a machine that is gone stay silent. */
  died(name: string, kernelIsUp: boolean): void {
    for (const exchange of this.open) {
      if (exchange.from === name) this.open.delete(exchange)
      else if (exchange.to === name && kernelIsUp) {
        this.transmit(name, exchange.from, "reset", () => exchange.finish(unreachable(exchange.to, "reset")))
      }
    }
  }

  exchange(
    from: Host,
    address: string,
    kind: Kind,
    body: Uint8Array
  ): Effect.Effect<Uint8Array, PeerFailed> {
    return Effect.callback((resume) => {
      const to = this.hosts.get(address)
      if (to === undefined) return resume(unreachable(address, "no route"))
      const caller = from.process()!
      const exchange: Exchanging = {
        from: from.name,
        to: to.name,
        finish: (answer) => {
          // The caller may have died or stopped waiting while the answer was on its way.
          if (!this.open.delete(exchange)) return
          this.world.post(caller, () => resume(answer))
        }
      }
      this.open.add(exchange)
      this.onSent({ from: from.name, to: to.name, kind, body })
      const label = `${kind} ${Bytes.crc32(body).toString(16)}`
      const deliver = () => this.deliver(exchange, from, to, kind, body)
      this.transmit(from.name, to.name, label, deliver)
      if (this.chance(from.name, to.name, "duplicateShare")) {
        this.counts.duplicated++
        this.transmit(from.name, to.name, `${label} again`, deliver)
      }
      return Effect.sync(() => {
        this.open.delete(exchange)
      })
    })
  }

  /** Calls `arrive` when the message reaches the other host, unless the network loses it. */
  transmit(from: string, to: string, label: string, arrive: () => void): void {
    this.counts.messages++
    if (this.cuts.has(`${from}>${to}`) || this.chance(from, to, "lossShare")) {
      this.counts.lost++
      return this.world.trace(`${from}>${to} ${label} lost`)
    }
    const extra = Math.max(this.weather.extraDelayMillisMax, ...this.between(from, to, "extraDelayMillisMax"))
    if (extra > 0) this.counts.late++
    const delay = this.random.between(usualDelayMillis.least, usualDelayMillis.most) +
      (extra > 0 ? extra * this.random.next() ** 2 : 0)
    this.world.trace(`${from}>${to} ${label}`)
    this.world.after(this.wire, delay, arrive)
  }

  private deliver(exchange: Exchanging, from: Host, to: Host, kind: Kind, body: Uint8Array): void {
    const process = to.process()
    if (process === undefined || !process.isAlive()) {
      if (!to.machineIsUp()) return
      return this.transmit(to.name, from.name, "refused", () => exchange.finish(unreachable(to.name, "refused")))
    }
    this.world.post(process, () => {
      const fiber = to.serve(kind, body, (exit) => {
        const answer: Effect.Effect<Uint8Array, PeerFailed> = Exit.isSuccess(exit) ? exit : asFailure(to.name, exit)
        const label = Exit.isSuccess(exit) ? `answer ${Bytes.crc32(exit.value).toString(16)}` : "failure"
        this.transmit(to.name, from.name, `${kind} ${label}`, () => exchange.finish(answer))
      })
      if (fiber === undefined) {
        this.transmit(to.name, from.name, "refused", () => exchange.finish(unreachable(to.name, "not listening yet")))
      }
    })
  }

  private chance(from: string, to: string, of: "lossShare" | "duplicateShare"): boolean {
    const share = Math.max(this.weather[of], ...this.between(from, to, of))
    return share > 0 && this.random.chance(share)
  }

  private between(from: string, to: string, of: keyof Weather): ReadonlyArray<number> {
    return [this.weathers.get(from)?.[of] ?? 0, this.weathers.get(to)?.[of] ?? 0]
  }
}

interface Exchanging {
  readonly from: string
  readonly to: string
  readonly finish: (answer: Effect.Effect<Uint8Array, PeerFailed>) => void
}

const unreachable = (peer: string, detail: string) =>
  Effect.fail(new PeerFailed({ peer, reason: "unreachable", detail }))

/** Its client sees a defect of the server as an answer without meaning. */
const asFailure = (peer: string, exit: Exit.Failure<Uint8Array, PeerFailed>): Effect.Effect<never, PeerFailed> => {
  const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")
  return failure === undefined
    ? Effect.fail(new PeerFailed({ peer, reason: "bad-answer", detail: "internal error" }))
    : Effect.fail(failure.error)
}
