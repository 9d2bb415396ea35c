/** Runs writers and readers on one cluster for minutes; samples memory, disk and the slowest requests. */
import * as fs from "node:fs"
import * as Histogram from "../src/cli/Histogram.ts"
import * as LoadGenerator from "../src/cli/LoadGenerator.ts"
import type { Cluster } from "./clusters.ts"
import * as diskProbe from "./diskProbe.ts"
import * as Driver from "./Driver.ts"
import * as metricsPage from "./metricsPage.ts"
import * as processorTime from "./processorTime.ts"
import { head, lineOf, type Memory, type Operations, type Sample } from "./soakReport.ts"
import { filesOf, sizeBytesOf } from "./storage/processFigures.ts"
import * as turns from "./turns.ts"

export interface Settings {
  readonly minutes: number
  readonly writers: number
  readonly readers: number
  readonly keyCount: number
  readonly valueBytes: number
}

const intervalMillis = 15_000
const seed = 20260201

const memoryOf = (page: string): Memory => ({
  residentBytes: metricsPage.value(page, "rondo_resident_memory_bytes") ?? 0,
  heapUsedBytes: metricsPage.value(page, "rondo_heap_bytes", `state="used"`),
  heapCommittedBytes: metricsPage.value(page, "rondo_heap_bytes", `state="committed"`),
  arrayBufferBytes: metricsPage.value(page, "rondo_array_buffer_bytes")
})

const operationsOf = ({ errors, histogram }: Driver.Recording, millis: number): Operations => ({
  requests: histogram.count,
  perSecond: histogram.count / millis * 1000,
  p99Millis: Histogram.percentileMicros(histogram, 0.99) / 1000,
  maxMillis: histogram.maxMicros / 1000,
  failures: Object.values(errors).reduce((sum, count) => sum + count, 0)
})

/** A file may be removed after it was listed and before its size is read. */
const diskBytesOf = (directory: string | undefined): number => {
  if (directory === undefined || !fs.existsSync(directory)) return 0
  return sizeBytesOf(filesOf(directory))
}

export const run = async (cluster: Cluster, settings: Settings, note: (text: string) => void) => {
  const { keyCount, minutes, readers, valueBytes, writers } = settings
  const keys = LoadGenerator.keysOf(seed, keyCount)
  note(`writing ${keyCount} keys with values of ${valueBytes} bytes`)
  await turns.fill(cluster, keys, valueBytes, note)
  const common = { ports: cluster.ports, valueBytes, keys }
  const puts = Driver.make({ ...common, operation: "put", connections: writers, seed })
  const gets = Driver.make({ ...common, operation: "get", connections: readers, seed: seed + 1 })
  const disk = cluster.directory === undefined ? undefined : diskProbe.start(cluster.directory)
  const beganAt = performance.now()
  const end = Promise.all([puts, gets].map((driver) => driver.slice(minutes * 60_000)))
  const samples: Array<Sample> = []
  note(head)
  let sampledAt = beganAt
  let cpuBefore = processorTime.ofProcesses(cluster.processIds)
  for (let at = intervalMillis; at <= minutes * 60_000; at += intervalMillis) {
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, beganAt + at - performance.now())))
    const millis = performance.now() - sampledAt
    sampledAt += millis
    const write = operationsOf(puts.take(), millis)
    const read = operationsOf(gets.take(), millis)
    const cpuAfter = processorTime.ofProcesses(cluster.processIds)
    const requests = write.requests + read.requests
    const sample: Sample = {
      seconds: (sampledAt - beganAt) / 1000,
      nodes: (await cluster.metricsPages()).map(memoryOf),
      diskBytes: diskBytesOf(cluster.directory),
      write,
      read,
      cpuMicros: cpuAfter === undefined || cpuBefore === undefined || requests === 0
        ? undefined
        : (cpuAfter - cpuBefore) / requests,
      diskSyncMaxMillis: disk?.takeMaxMillis()
    }
    cpuBefore = cpuAfter
    samples.push(sample)
    note(lineOf(sample))
  }
  await end
  await disk?.stop()
  for (const driver of [puts, gets]) driver.close()
  return samples
}
