/**
 * Hints as lines of a file, each behind its checksum. docs/formats/hints.md describes the bytes.
 *
 * Pure.
 */
import { formatOf } from "../disk/jsonFormat.ts"
import * as Bytes from "../domain/bytes.ts"
import type { Cell } from "../domain/cell/Cell.ts"
import * as CellLine from "../domain/cell/CellLine.ts"

/** Named by the first line. A crash may leave a file without it, which is read all the same. */
export const format = "rondo-hints-1"

const checked = (line: string): string => `${Bytes.crc32(line).toString(16).padStart(8, "0")} ${line}\n`

/** The first line. */
export const head = Bytes.fromUtf8(checked(JSON.stringify({ format })))

export const encode = (cell: Cell): string => checked(CellLine.encode(cell))

export interface Contents {
  readonly cells: ReadonlyArray<Cell>
  /** Lines that do not match their checksum. A last line torn by a crash counts too: no acknowledgement needs it. */
  readonly damaged: number
  /** Without the first line. */
  readonly sizeBytes: number
  /** The format of another version that wrote the file. Nothing else is known then. */
  readonly unknownFormat: string | undefined
}

export const decode = (bytes: Uint8Array): Contents => {
  const cells: Array<Cell> = []
  let damaged = 0
  const isHeaded = Bytes.equals(bytes.subarray(0, head.length), head)
  const sizeBytes = isHeaded ? bytes.length - head.length : bytes.length
  for (const text of Bytes.utf8(bytes, bytes.length - sizeBytes).split("\n")) {
    if (text === "") continue
    const line = text.slice(9)
    const isWhole = Bytes.crc32(line) === Number.parseInt(text.slice(0, 8), 16)
    const cell = isWhole ? CellLine.decode(line) : undefined
    if (cell !== undefined) cells.push(cell)
    else {
      const unknownFormat = isWhole ? formatOf(line) : undefined
      if (unknownFormat !== undefined) return { cells: [], damaged: 0, sizeBytes, unknownFormat }
      damaged++
    }
  }
  return { cells, damaged, sizeBytes, unknownFormat: undefined }
}
