/**
 * The index `NNNNNN.idx` of a table `NNNNNN.sst`: where its blocks begin, which keys it may hold, and its properties.
 *
 * Pure. The lines are described in docs/formats/sstable.md. Columns instead of a line for each block: an index is read
 * whole when the store opens, and arrays of numbers and texts parse ten times as fast as objects.
 */
import { formatOf } from "../../disk/jsonFormat.ts"
import * as Bytes from "../../domain/bytes.ts"
import type { Key } from "../../domain/Key.ts"
import { compare } from "../../domain/Key.ts"
import type * as Bloom from "./Bloom.ts"

export interface TableProperties {
  readonly cells: number
  readonly tombstones: number
  readonly keyMin: Key
  readonly keyMax: Key
  /** The highest counter of any version in it. */
  readonly counterMax: number
  /** Of the `.sst`. */
  readonly sizeBytes: number
}

export interface TableIndex {
  readonly properties: TableProperties
  /** Of each block. */
  readonly firstKeys: ReadonlyArray<string>
  /** Where each block begins, and behind them where the last one ends. */
  readonly offsets: Float64Array
  readonly checksums: Uint32Array
  readonly bloom: Bloom.Bloom
}

export const format = "rondo-sstable-2"

export const blockCount = (index: TableIndex): number => index.firstKeys.length

/** Where a read of whole blocks ends that begins at `first`: it takes at most `spanBytes`, or one block. */
export const spanEnd = (index: TableIndex, first: number, spanBytes: number): number => {
  const { offsets } = index
  let end = first + 1
  while (end < blockCount(index) && offsets[end + 1]! - offsets[first]! <= spanBytes) end++
  return end
}

export const encode = ({ bloom, checksums, firstKeys, offsets, properties }: TableIndex): Uint8Array => {
  const lengths = firstKeys.map((_, block) => offsets[block + 1]! - offsets[block]!)
  const body = Bytes.fromUtf8(
    `${JSON.stringify({ format, ...properties, blocks: firstKeys.length })}\n` +
      `${JSON.stringify({ firstKeys })}\n` +
      `${JSON.stringify({ lengthsBytes: lengths })}\n` +
      `${JSON.stringify({ crc32s: Array.from(checksums) })}\n` +
      `{"probes":${bloom.probes},"bloom":"${Bytes.toBase64(bloom.bits)}"}\n`
  )
  return Bytes.concat([body, Bytes.fromUtf8(checksumLine(body))])
}

interface Head extends TableProperties {
  readonly format: string
  readonly blocks: number
}

/** Whether the bytes are those that were written, in any format. */
export const isIntact = (bytes: Uint8Array): boolean => {
  const bodyBytes = bodyBytesOf(bytes)
  return Bytes.utf8(bytes, bodyBytes) === checksumLine(bytes.subarray(0, bodyBytes))
}

const lineFeed = 0x0a

const checksumLine = (body: Uint8Array): string => `{"crc32":${Bytes.crc32(body)}}\n`

/** The last line is the checksum of those before it. */
const bodyBytesOf = (bytes: Uint8Array): number => bytes.lastIndexOf(lineFeed, bytes.length - 2) + 1

/** The format of an index that is whole, but that another version wrote. */
export const unknownFormat = (bytes: Uint8Array): string | undefined => {
  const found = isIntact(bytes) ? formatOf(Bytes.utf8(bytes, 0, bytes.indexOf(lineFeed))) : undefined
  return found === format ? undefined : found
}

/** Undoes `encode`; a sentence about what is wrong when the bytes are not an index. */
export const decode = (bytes: Uint8Array): TableIndex | string => {
  if (!isIntact(bytes)) return "the checksum does not match"
  const body = bytes.subarray(0, bodyBytesOf(bytes))
  // The checksum holds, so these are the lines that `encode` wrote; only another format can surprise.
  const lines = Bytes.utf8(body).split("\n")
  const { blocks: _, format: found, ...properties } = JSON.parse(lines[0]!) as Head
  return found === format ? decodeColumns(properties, lines) : `the format is ${found}, not ${format}`
}

const decodeColumns = (properties: TableProperties, lines: ReadonlyArray<string>): TableIndex => {
  const { firstKeys } = JSON.parse(lines[1]!) as { readonly firstKeys: ReadonlyArray<string> }
  const { lengthsBytes } = JSON.parse(lines[2]!) as { readonly lengthsBytes: ReadonlyArray<number> }
  const { crc32s } = JSON.parse(lines[3]!) as { readonly crc32s: ReadonlyArray<number> }
  const filter = JSON.parse(lines[4]!) as { readonly probes: number; readonly bloom: string }
  const bloom: Bloom.Bloom = { bits: new Uint8Array(Bytes.fromBase64(filter.bloom)), probes: filter.probes }
  return { properties, firstKeys, offsets: offsetsOf(lengthsBytes), checksums: Uint32Array.from(crc32s), bloom }
}

/** Where blocks of these lengths begin, and where the last one ends. */
export const offsetsOf = (lengths: ReadonlyArray<number>): Float64Array => {
  const offsets = new Float64Array(lengths.length + 1)
  for (let block = 0; block < lengths.length; block++) offsets[block + 1] = offsets[block]! + lengths[block]!
  return offsets
}

/** `isBasic`: one of the two is such a key, see `Bloom.KeyProbe`; then the comparison takes a fraction of the time. */
export const isAtMost = (left: string, right: string, isBasic: boolean): boolean =>
  isBasic ? left <= right : compare(left, right) <= 0

/** The block that would hold the key: the last whose first key is not above it; -1 when the key is below all. */
export const blockOf = ({ firstKeys }: TableIndex, key: string, isBasic = false): number => {
  let low = 0
  let high = firstKeys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isAtMost(firstKeys[middle]!, key, isBasic)) low = middle + 1
    else high = middle
  }
  return low - 1
}
