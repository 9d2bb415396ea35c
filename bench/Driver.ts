/**
 * Load on one cluster that can be paused. Connections stay open between slices, so two clusters can take turns of a
 * fraction of a second. Closed loop, as in `LoadGenerator.ts`.
 */
import * as Histogram from "../src/cli/Histogram.ts"
import { Connection, getText, putText } from "../src/cli/LoadGenerator.ts"
import * as SeededRandom from "../src/domain/SeededRandom.ts"

export interface Settings {
  readonly ports: ReadonlyArray<number>
  readonly operation: "put" | "get"
  readonly connections: number
  readonly valueBytes: number
  readonly keys: ReadonlyArray<string>
  readonly seed: number
}

/** Everything since the previous recording was taken. */
export interface Recording {
  readonly histogram: Histogram.Histogram
  /** Total length of the slices. */
  millis: number
  /** Failures by kind. */
  readonly errors: Record<string, number>
}

const recording = (): Recording => ({ histogram: Histogram.make(), millis: 0, errors: {} })

const sweepMillis = 50

export interface Driver {
  /** Sends requests for `millis`, then waits for the outstanding answers. */
  readonly slice: (millis: number) => Promise<void>
  readonly take: () => Recording
  readonly close: () => void
}

export const make = ({ connections, keys, operation, ports, seed, valueBytes }: Settings): Driver => {
  const random = SeededRandom.make(seed)
  const value = SeededRandom.text(random, valueBytes)
  let recorded = recording()
  let endAt = 0
  let isOpen = true
  let ended: (() => void) | undefined
  const failed = (kind: string) => {
    recorded.errors[kind] = (recorded.errors[kind] ?? 0) + 1
  }
  const endIfIdle = () => {
    if (ended === undefined || performance.now() < endAt || all.some(({ waiting }) => waiting)) return
    ended()
    ended = undefined
  }
  const events = {
    more: () => isOpen,
    request: (host: string) => {
      if (performance.now() >= endAt) {
        endIfIdle()
        return undefined
      }
      const key = keys[random.below(keys.length)]!
      return operation === "put" ? putText(host, key, value) : getText(host, key)
    },
    answered: (status: number, sentAt: number) => {
      if (status < 200 || status > 299) failed(String(status))
      else Histogram.record(recorded.histogram, (performance.now() - sentAt) * 1000)
    },
    failed,
    finished: () => {}
  }
  const all = Array.from(
    { length: connections },
    (_, index) => new Connection({ host: "127.0.0.1", port: ports[index % ports.length]! }, events)
  )
  const sweep = setInterval(() => {
    const now = performance.now()
    for (const connection of all) connection.checkDeadline(now)
    endIfIdle()
  }, sweepMillis)
  return {
    slice: async (millis) => {
      const beganAt = performance.now()
      endAt = beganAt + millis
      const end = new Promise<void>((resolve) => {
        ended = resolve
      })
      for (const connection of all) {
        if (connection.parked) connection.send()
      }
      await end
      recorded.millis += performance.now() - beganAt
    },
    take: () => {
      const taken = recorded
      recorded = recording()
      return taken
    },
    close: () => {
      isOpen = false
      clearInterval(sweep)
      for (const connection of all) connection.finish()
    }
  }
}
