/**
 * Syncs 4 KiB on the nodes' disk ten times a second, in a thread of its own: what the disk alone makes a write wait.
 * Shared and virtual disks stop for a second and more now and then, whoever writes.
 */
import * as fs from "node:fs"
import { join } from "node:path"
import { isMainThread, Worker, workerData } from "node:worker_threads"

const intervalMillis = 100
const bytes = 4096
/** Then the file begins again: it counts as disk of the nodes. */
const fileBytesMax = 1024 * 1024

interface Shared {
  readonly directory: string
  /** A single number: microseconds of the slowest sync since it was last taken. */
  readonly slowestMicros: Int32Array<SharedArrayBuffer>
}

export interface DiskProbe {
  /** The slowest sync since the last call. */
  readonly takeMaxMillis: () => number
  readonly stop: () => Promise<void>
}

export const start = (directory: string): DiskProbe => {
  const slowestMicros = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  const shared: Shared = { directory, slowestMicros }
  const worker = new Worker(new URL(import.meta.url), { workerData: shared })
  // A soak that fails ends the process, too.
  worker.unref()
  return {
    takeMaxMillis: () => Atomics.exchange(slowestMicros, 0, 0) / 1000,
    stop: async () => {
      await worker.terminate()
    }
  }
}

const probe = ({ directory, slowestMicros }: Shared) => {
  const file = fs.openSync(join(directory, "disk-probe"), "a")
  const block = Buffer.alloc(bytes, "x")
  setInterval(() => {
    if (fs.fstatSync(file).size >= fileBytesMax) fs.ftruncateSync(file)
    const beganAt = performance.now()
    fs.writeSync(file, block)
    fs.fdatasyncSync(file)
    const micros = Math.round((performance.now() - beganAt) * 1000)
    if (micros > Atomics.load(slowestMicros, 0)) Atomics.store(slowestMicros, 0, micros)
  }, intervalMillis)
}

if (!isMainThread) probe(workerData as Shared)
