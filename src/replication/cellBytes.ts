/** Sizes of cells on the wire and in queues, and batches bounded by them. Pure. */
import { Stream } from "effect"
import type { Cell } from "../domain/cell/Cell.ts"
import { batchBytesMax } from "../peer/PeerApi.ts"

/** Version, lengths and flags. */
const overheadBytes = 48

/** About how many bytes a cell takes. */
export const bytesOf = ({ key, value }: Cell): number =>
  overheadBytes + key.length + (value === undefined ? 0 : value.bytes.length + value.contentType.length)

export interface Bounds {
  readonly cellsMax: number
  readonly bytesMax: number
}

type Batches = ReadonlyArray<ReadonlyArray<Cell>>

/** Cuts into batches within the bounds; a larger cell gets a batch of its own. */
export const batches = (cells: ReadonlyArray<Cell>, bounds: Bounds): Batches => {
  const cutter = new Cutter(bounds)
  return [...cutter.push(cells), ...cutter.end()]
}

/** Bounds of the batches of a stream. */
export const streamed: Bounds = { cellsMax: 512, bytesMax: batchBytesMax }

/** The same for a stream, so that large values do not pile up. */
export const inBatches = <E, R>(cells: Stream.Stream<Cell, E, R>) =>
  Stream.mapAccumArray(cells, () => new Cutter(streamed), (cutter, some) => [cutter, cutter.push(some)], {
    onHalt: (cutter) => cutter.end()
  })

/** Cuts cells that come bit by bit. */
export class Cutter {
  readonly bounds: Bounds
  batch: Array<Cell> = []
  bytes = 0

  constructor(bounds: Bounds) {
    this.bounds = bounds
  }

  /** The batches that these cells complete. */
  push(cells: ReadonlyArray<Cell>): Batches {
    const complete: Array<ReadonlyArray<Cell>> = []
    for (const cell of cells) {
      const more = bytesOf(cell)
      if (this.bytes + more > this.bounds.bytesMax || this.batch.length >= this.bounds.cellsMax) {
        complete.push(...this.end())
      }
      this.batch.push(cell)
      this.bytes += more
    }
    return complete
  }

  end(): Batches {
    const last = this.batch
    this.batch = []
    this.bytes = 0
    return last.length === 0 ? [] : [last]
  }
}
