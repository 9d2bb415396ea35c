/** Prints a soak: a line per interval, the memory curve, and whether memory stayed flat. Pure. */

export interface Memory {
  readonly residentBytes: number
  /** Nodes of older checkouts report only resident memory. */
  readonly heapUsedBytes: number | undefined
  readonly heapCommittedBytes: number | undefined
  readonly arrayBufferBytes: number | undefined
}

export interface Operations {
  readonly requests: number
  readonly perSecond: number
  readonly p99Millis: number
  readonly maxMillis: number
  readonly failures: number
}

/** One interval, and the memory and disk in use at its end. */
export interface Sample {
  readonly seconds: number
  readonly nodes: ReadonlyArray<Memory>
  readonly diskBytes: number
  readonly write: Operations
  readonly read: Operations
  /** Processor time of all nodes per request. */
  readonly cpuMicros: number | undefined
  /** The slowest of small syncs on the same disk, made beside the nodes. */
  readonly diskSyncMaxMillis: number | undefined
}

const mebibyte = 1024 * 1024
const mebibytes = (bytes: number | undefined): string =>
  bytes === undefined ? "-" : String(Math.round(bytes / mebibyte))

const minutesText = (seconds: number): string =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`

const operationsText = (name: string, { failures, maxMillis, p99Millis, perSecond }: Operations): string =>
  `${name} ${perSecond.toFixed(0)}/s p99 ${p99Millis.toFixed(1)} max ${maxMillis.toFixed(0)} ms` +
  (failures === 0 ? "" : ` FAILED ${failures}`)

export const head = "time   MiB of each node: resident (heap used/committed + buffers)"

const millisText = (millis: number | undefined): string => millis === undefined ? "-" : millis.toFixed(0)

export const lineOf = ({ cpuMicros, diskBytes, diskSyncMaxMillis, nodes, read, seconds, write }: Sample): string =>
  [
    minutesText(seconds).padStart(5),
    nodes.map(({ arrayBufferBytes, heapCommittedBytes, heapUsedBytes, residentBytes }) =>
      `${mebibytes(residentBytes)} (${mebibytes(heapUsedBytes)}/${mebibytes(heapCommittedBytes)} + ` +
      `${mebibytes(arrayBufferBytes)})`
    ).join(", "),
    operationsText("put", write),
    operationsText("get", read),
    `cpu ${cpuMicros === undefined ? "-" : cpuMicros.toFixed(0)} us`,
    `disk ${mebibytes(diskBytes)} MiB, sync max ${millisText(diskSyncMaxMillis)} ms`
  ].join("  ")

const rows = 12
const columnsMax = 100

/** Draws each series with its number, from zero to the highest value; `*` where two overlap. */
export const chart = (series: ReadonlyArray<ReadonlyArray<number>>, unit: string): string => {
  const length = Math.max(0, ...series.map((values) => values.length))
  const columns = Math.min(columnsMax, length)
  const highest = Math.max(1, ...series.flat())
  const canvas = Array.from({ length: rows }, () => Array.from({ length: columns }, () => " "))
  for (const [index, values] of series.entries()) {
    for (let column = 0; column < columns; column++) {
      const value = values[Math.floor(column * length / columns)]
      if (value === undefined) continue
      const line = canvas[rows - 1 - Math.min(rows - 1, Math.floor(value / highest * rows))]!
      line[column] = line[column] === " " ? String(index + 1) : "*"
    }
  }
  return canvas.map((line, row) =>
    `${(highest * (rows - row) / rows).toFixed(0).padStart(6)} ${unit} |${line.join("").trimEnd()}`
  ).join("\n")
}

export interface Verdict {
  readonly node: number
  /** The median of the samples around five minutes. */
  readonly atFiveMinutesBytes: number | undefined
  /** The median of the samples in the last minute. */
  readonly atTheEndBytes: number
  readonly highestBytes: number
}

const medianBytes = (samples: ReadonlyArray<Sample>, node: number): number | undefined => {
  const sorted = samples.map(({ nodes }) => nodes[node]!.residentBytes).sort((left, right) => left - right)
  return sorted[Math.floor(sorted.length / 2)]
}

/** Garbage comes and goes, so a single sample says little. */
const aroundSeconds = 30

export const verdicts = (samples: ReadonlyArray<Sample>): ReadonlyArray<Verdict> => {
  const last = samples.at(-1)
  if (last === undefined) return []
  return last.nodes.map((_, node) => ({
    node: node + 1,
    atFiveMinutesBytes: medianBytes(
      samples.filter(({ seconds }) => Math.abs(seconds - 300) <= aroundSeconds),
      node
    ),
    atTheEndBytes: medianBytes(samples.filter(({ seconds }) => seconds > last.seconds - 60), node)!,
    highestBytes: Math.max(...samples.map(({ nodes }) => nodes[node]!.residentBytes))
  }))
}

const verdictText = ({ atFiveMinutesBytes, atTheEndBytes, highestBytes, node }: Verdict): string =>
  `node ${node}: ${mebibytes(atFiveMinutesBytes)} MiB at five minutes, ${mebibytes(atTheEndBytes)} at the end` +
  (atFiveMinutesBytes === undefined
    ? ""
    : ` (${((atTheEndBytes / atFiveMinutesBytes - 1) * 100).toFixed(1)} % difference)`) +
  `, ${mebibytes(highestBytes)} at most`

export const render = (samples: ReadonlyArray<Sample>): string => {
  const totals = (of: (sample: Sample) => Operations) => ({
    requests: samples.reduce((sum, sample) => sum + of(sample).requests, 0),
    failures: samples.reduce((sum, sample) => sum + of(sample).failures, 0),
    maxMillis: Math.max(0, ...samples.map((sample) => of(sample).maxMillis))
  })
  const write = totals((sample) => sample.write)
  const read = totals((sample) => sample.read)
  const syncMillis = Math.max(0, ...samples.map(({ diskSyncMaxMillis }) => diskSyncMaxMillis ?? 0))
  const nodes = samples.at(-1)?.nodes ?? []
  return [
    "resident memory of each node over time",
    chart(nodes.map((_, node) => samples.map((sample) => sample.nodes[node]!.residentBytes / mebibyte)), "MiB"),
    "",
    ...verdicts(samples).map(verdictText),
    `${write.requests} writes, the slowest ${write.maxMillis.toFixed(0)} ms, ${write.failures} failed`,
    `${read.requests} reads, the slowest ${read.maxMillis.toFixed(0)} ms, ${read.failures} failed`,
    `the slowest sync of 4 KiB on the same disk, beside the nodes: ${millisText(syncMillis)} ms`
  ].join("\n")
}
