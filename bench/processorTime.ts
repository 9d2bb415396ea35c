/**
 * Processor time of other processes, over all their threads, in microseconds. On a shared machine rates vary by a
 * factor of three, and processor time varies little.
 *
 * Linux only: elsewhere `ofProcesses` returns `undefined`. `parseSchedStat` is pure.
 */
import * as fs from "node:fs"

/** Parses a thread's `/proc` line: nanoseconds on a processor, nanoseconds waiting for one, time slices. */
export const parseSchedStat = (text: string): number | undefined => {
  const match = /^(\d+) \d+ \d+\s*$/.exec(text)
  return match === null ? undefined : Number(match[1]) / 1000
}

/**
 * Total since each process started. The kernel counts a whole process in hundredths of a second, too coarse for rounds
 * of a second or two, but counts threads exactly. The figure of a thread disappears when the thread ends; a node's
 * threads live as long as the node.
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
