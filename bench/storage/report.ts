/** Prints results as tables. Pure. */
import type { Figures } from "./Load.ts"
import type { Name } from "./Store.ts"

/** The rates of one workload. */
export interface Row {
  readonly workload: string
  readonly title: string
  readonly valueBytes: number
  readonly rondo: Figures | undefined
  readonly leveldb: Figures | undefined
  /** Rondo's rate divided by LevelDB's. */
  readonly ratio: number | undefined
  /** The lowest ratio that the engine aims at. */
  readonly aim: number | undefined
  readonly remark: string | undefined
}

export type Unit = "x" | "MB" | "B" | "ms" | "s" | "share"

/** A figure that is not a rate. */
export interface Measure {
  readonly workload: string
  readonly title: string
  readonly valueBytes: number
  readonly unit: Unit
  readonly rondo: number | undefined
  readonly leveldb: number | undefined
  /** Rondo's figure must stay below this. */
  readonly below: number | undefined
}

/** Everything about one fill, for programs; for example, memory over time. */
export interface FillRecord {
  readonly workload: string
  readonly valueBytes: number
  readonly store: Name
  readonly figures: Figures
}

export interface Report {
  readonly rows: Array<Row>
  readonly measures: Array<Measure>
  readonly remarks: Array<string>
  readonly fills: Array<FillRecord>
}

export const rowOf = (
  workload: { readonly name: string; readonly title: string; readonly aim?: number },
  valueBytes: number,
  figures: Readonly<Partial<Record<Name, Figures>>>,
  remark?: string
): Row => ({
  workload: workload.name,
  title: workload.title,
  valueBytes,
  rondo: figures.rondo,
  leveldb: figures.leveldb,
  ratio: figures.rondo === undefined || figures.leveldb === undefined || figures.leveldb.perSecond === 0
    ? undefined
    : figures.rondo.perSecond / figures.leveldb.perSecond,
  aim: workload.aim,
  remark
})

const none = "-"

export const rate = (perSecond: number): string => Math.round(perSecond).toLocaleString("en-US")

/** Microseconds below a millisecond, milliseconds above. */
export const latency = (micros: number): string =>
  micros < 1000 ? `${Math.round(micros)} us` : `${(micros / 1000).toFixed(micros < 10_000 ? 2 : 1)} ms`

export const quantity = (value: number | undefined, unit: Unit): string => {
  if (value === undefined) return none
  switch (unit) {
    case "x":
      return value.toFixed(2)
    case "MB":
      return `${(value / 1e6).toFixed(1)} MB`
    case "B":
      return `${value.toFixed(0)} B`
    case "ms":
      return `${value.toFixed(1)} ms`
    case "s":
      return `${value.toFixed(2)} s`
    case "share":
      return `${(value * 100).toFixed(2)} %`
  }
}

const cpu = (micros: number): string => `${micros.toFixed(micros < 100 ? 1 : 0)} us`

/** Below this, only the benchmark uses the machine. */
const othersShareMax = 0.1

/** A warning about the rates; `undefined` when the benchmark had the machine to itself. */
export const busyRemark = (rows: ReadonlyArray<Row>): string | undefined => {
  const shares = rows.flatMap(({ leveldb, rondo }) => [rondo, leveldb]).flatMap((figures) =>
    figures === undefined ? [] : [figures.othersShare]
  )
  const most = Math.max(0, ...shares)
  return most <= othersShareMax ?
    undefined :
    `BUSY MACHINE: other processes took up to ${Math.round(most * 100)} % of the processors, ${
      Math.round(shares.reduce((sum, share) => sum + share, 0) / shares.length * 100)
    } % on average`
}

const verdict = (isReached: boolean | undefined): string => isReached === undefined ? "" : isReached ? "ok" : "below"

const rowCells = (row: Row): ReadonlyArray<string> => {
  const side = (figures: Figures | undefined) =>
    figures === undefined
      ? [none, none, none]
      : [rate(figures.perSecond), latency(figures.p99Micros), cpu(figures.cpuMicros)]
  return [
    row.title,
    `${row.valueBytes} B`,
    ...side(row.rondo),
    ...side(row.leveldb),
    row.ratio === undefined ? none : row.ratio.toFixed(2),
    row.aim === undefined ? none : String(row.aim),
    verdict(row.ratio === undefined || row.aim === undefined ? undefined : row.ratio >= row.aim)
  ]
}

const measureCells = ({ below, leveldb, rondo, title, unit, valueBytes }: Measure): ReadonlyArray<string> => [
  title,
  `${valueBytes} B`,
  quantity(rondo, unit),
  quantity(leveldb, unit),
  below === undefined ? none : `< ${quantity(below, unit)}`,
  below === undefined || rondo === undefined ? "" : rondo < below ? "ok" : "above"
]

/** Aligns the first column to the left, the others to the right. */
export const align = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    row.map((text, column) => column === 0 ? text.padEnd(widths[0]!) : text.padStart(widths[column]!)).join("  ")
      .trimEnd()
  ).join("\n")
}

export const render = ({ measures, remarks, rows }: Omit<Report, "fills">): string => {
  const sections: Array<string> = []
  if (rows.length > 0) {
    const head = ["", "value", "rondo/s", "p99", "cpu", "leveldb/s", "p99", "cpu", "ratio", "aim", ""]
    sections.push(align([head, ...rows.map(rowCells)]))
  }
  if (measures.length > 0) {
    sections.push(align([["", "value", "rondo", "leveldb", "aim", ""], ...measures.map(measureCells)]))
  }
  const said = rows.flatMap(({ remark, title, valueBytes }) =>
    remark === undefined ? [] : [`${title}, ${valueBytes} B: ${remark}`]
  )
  const busy = busyRemark(rows)
  const lines = [...said, ...remarks, ...(busy === undefined ? [] : [busy])]
  if (lines.length > 0) sections.push(lines.join("\n"))
  return sections.join("\n\n")
}
