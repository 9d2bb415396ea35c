/** Cuts bytes into lines with their numbers, holding no more than one line. */
import { Stream } from "effect"

/** Four times the largest value that a node takes by default, as JSON might write it. */
export const lineBytesMax = 16 * 1024 * 1024

export interface Line {
  /** The first is 1. */
  readonly number: number
  /** `undefined`: longer than `lineBytesMax`, and skipped. */
  readonly text: string | undefined
}

const lineFeed = 10

/** The lines of a stream of bytes. */
export const split = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Line, E, R> =>
  Stream.mapAccum(bytes, () => new LineSplitter(), (splitter, chunk) => [splitter, splitter.push(chunk)], {
    onHalt: (splitter) => splitter.end()
  })

export class LineSplitter {
  private number = 0
  private partial: Array<Uint8Array> = []
  private partialBytes = 0

  /** The lines that end in these bytes. */
  push(bytes: Uint8Array): Array<Line> {
    const lines: Array<Line> = []
    let start = 0
    for (let end = bytes.indexOf(lineFeed); end !== -1; end = bytes.indexOf(lineFeed, start)) {
      this.keep(bytes.subarray(start, end))
      lines.push(this.take())
      start = end + 1
    }
    this.keep(bytes.subarray(start))
    return lines
  }

  /** The last line, when it has no line feed. */
  end(): Array<Line> {
    return this.partialBytes === 0 ? [] : [this.take()]
  }

  private keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.partialBytes += bytes.length
    if (this.partialBytes > lineBytesMax) this.partial = []
    else this.partial.push(bytes)
  }

  private take(): Line {
    const text = this.partialBytes > lineBytesMax ? undefined : Buffer.concat(this.partial).toString("utf8")
    this.partial = []
    this.partialBytes = 0
    return { number: ++this.number, text }
  }
}
