/**
 * Processor time of other processes, all their threads, in microseconds. On a machine that others use as well, rates
 * move by a factor of three and processor time little.
 *
 * Linux alone tells: elsewhere `ofProcesses` gives `undefined`. `parseSchedStat` is pure.
 */
import * as fs from "node:fs"

/** A thread's line in `/proc`: nanoseconds on a processor, nanoseconds of waiting for one, time slices. */
export const parseSchedStat = (text: string): number | undefined => {
  const match = /^(\d+) \d+ \d+\s*$/.exec(text)
  return match === null ? undefined : Number(match[1]) / 1000
}

/**
 * Since each process began. The kernel's total for a process counts in hundredths of a second, which is too coarse for
 * rounds of a second or two; its figures for threads are exact. A thread that ends takes its figure with it, but the
 * threads of a node live as long as the node.
 */
export const ofProcesses = (processIds: ReadonlyArray<number>): number | undefined => {
  let micros = 0
  try {
    for (const processId of processIds) {
      for (const thread of fs.readdirSync(`/proc/${processId}/task`)) {
        const spent = parseSchedStat(fs.readFileSync(`/proc/${processId}/task/${thread}/schedstat`, "latin1"))
        if (spent === undefined) return undefined
        micros += spent
      }
    }
  } catch {
    return undefined
  }
  return micros
}
