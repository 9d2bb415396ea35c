/** Memory, event loop pauses and device bytes of this process while something runs. */
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import { monitorEventLoopDelay } from "node:perf_hooks"

export interface ProcessFigures {
  readonly rssMaxBytes: number
  /** One sample per `sampleMillis`, in order. */
  readonly rssBytes: ReadonlyArray<number>
  /** Between two ticks of a one-millisecond timer: about 1.1 when idle. */
  readonly pauseP99Millis: number
  readonly pauseP999Millis: number
  readonly pauseMaxMillis: number
}

const sampleMillis = 500
const nanosPerMilli = 1e6

export const during = <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<[A, ProcessFigures], E, R> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const pauses = monitorEventLoopDelay({ resolution: 1 })
      const rssBytes = [process.memoryUsage.rss()]
      const sampler = setInterval(() => rssBytes.push(process.memoryUsage.rss()), sampleMillis)
      pauses.enable()
      return { pauses, rssBytes, sampler }
    }),
    ({ pauses, rssBytes }) =>
      Effect.map(work, (result): [A, ProcessFigures] => {
        rssBytes.push(process.memoryUsage.rss())
        return [result, {
          rssMaxBytes: Math.max(...rssBytes),
          rssBytes,
          pauseP99Millis: pauses.percentile(99) / nanosPerMilli,
          pauseP999Millis: pauses.percentile(99.9) / nanosPerMilli,
          pauseMaxMillis: pauses.max / nanosPerMilli
        }]
      }),
    ({ pauses, sampler }) =>
      Effect.sync(() => {
        clearInterval(sampler)
        pauses.disable()
      })
  )

export const processors = os.cpus().length

/** Processor time since the start, of this process and of the whole machine. */
export const cpuTimes = (): { readonly ownMillis: number; readonly allMillis: number } => {
  const { system, user } = process.cpuUsage()
  const allMillis = os.cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0)
  return { ownMillis: (system + user) / 1000, allMillis }
}

/** The kernel's counts for this process; `undefined` where there is no `/proc`. */
export const deviceBytes = (): { readonly read: number; readonly written: number } | undefined => {
  let text: string
  try {
    text = fs.readFileSync("/proc/self/io", "utf8")
  } catch {
    return undefined
  }
  const of = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, "m").exec(text)?.[1] ?? 0)
  return { read: of("read_bytes"), written: of("write_bytes") }
}

/** This process's peak memory. `getrusage` would include its parent's memory at the time of the fork. */
export const rssMaxBytes = (): number => {
  try {
    const match = /^VmHWM:\s+(\d+) kB$/m.exec(fs.readFileSync("/proc/self/status", "utf8"))
    if (match !== null) return Number(match[1]) * 1024
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS * 1024
}

/** All files below a directory. */
export const filesOf = (directory: string): ReadonlyArray<string> =>
  fs.readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`)

export const sizeBytesOf = (files: ReadonlyArray<string>): number =>
  files.reduce((sum, file) => sum + (fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0)
