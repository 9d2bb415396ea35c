/**
 * The work for a store, and its results. The same `Load` drives both stores. Each runs one loop per operation in
 * flight: Rondo as fibers, LevelDB as promises.
 */
import * as Histogram from "../../src/cli/Histogram.ts"

export type Operation = "put" | "get" | "scan"

/** Cells per scan. */
export const scanCells = 100

export interface Load {
  readonly operation: Operation
  readonly inFlight: number
  /**
   * After how many operations answered from memory a loop yields. Requests arrive from sockets, a few at a time; beside
   * another load, each operation is a turn of its own.
   */
  readonly operationsPerTurn: number
  /** The key of the next operation; `undefined` ends the calling loop. */
  readonly next: () => string | undefined
  /** Called with the number of cells that the operation returned or wrote. */
  readonly answered: (beganAtMillis: number, cells: number) => void
}

/** Accumulates all rounds of one workload on one store. */
export interface Recording {
  readonly histogram: Histogram.Histogram
  operations: number
  cells: number
  millis: number
  /** Processor time of this process, over all threads. */
  cpuMillis: number
  /** Processor time of other processes during the rounds. */
  othersMillis: number
}

export const recording = (): Recording => ({
  histogram: Histogram.make(),
  operations: 0,
  cells: 0,
  millis: 0,
  cpuMillis: 0,
  othersMillis: 0
})

/** A load ends after a number of operations or after a time. */
export interface Until {
  readonly count?: number
  readonly millis?: number
}

const operationsPerTurnAlone = 8

export const make = (
  operation: Operation,
  inFlight: number,
  key: (sequence: number) => string,
  until: Until,
  into: Recording,
  now: () => number = () => performance.now(),
  operationsPerTurn = operationsPerTurnAlone
): Load => {
  const count = until.count ?? Infinity
  const endAt = now() + (until.millis ?? Infinity)
  let latest = 0
  let sequence = 0
  return {
    operation,
    inFlight,
    operationsPerTurn,
    next: () => sequence < count && latest < endAt ? key(sequence++) : undefined,
    answered: (beganAtMillis, cells) => {
      latest = now()
      Histogram.record(into.histogram, (latest - beganAtMillis) * 1000)
      into.operations++
      into.cells += cells
    }
  }
}

export interface Figures {
  readonly operations: number
  readonly seconds: number
  readonly perSecond: number
  /** Processor time per operation, over all threads: on a busy machine it says more than the rate. */
  readonly cpuMicros: number
  /** The share of all processors that other processes used. */
  readonly othersShare: number
  readonly p50Micros: number
  readonly p99Micros: number
  readonly maxMicros: number
}

export const figures = (
  { cpuMillis, histogram, millis, operations, othersMillis }: Recording,
  processors: number
): Figures => ({
  operations,
  seconds: millis / 1000,
  perSecond: millis > 0 ? operations / millis * 1000 : 0,
  cpuMicros: operations > 0 ? cpuMillis * 1000 / operations : 0,
  othersShare: millis > 0 ? othersMillis / (millis * processors) : 0,
  p50Micros: Histogram.percentileMicros(histogram, 0.5),
  p99Micros: Histogram.percentileMicros(histogram, 0.99),
  maxMicros: histogram.maxMicros
})
