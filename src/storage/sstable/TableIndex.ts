/**
 * What `NNNNNN.idx` says about `NNNNNN.sst`: where its blocks begin, which keys it may hold, and its properties.
 *
 * Pure. The lines are described in docs/formats/sstable.md.
 */
import { crc32 } from "node:zlib"
import type { Key } from "../../domain/Key.ts"
import { compare } from "../../domain/Key.ts"
import * as Bloom from "./Bloom.ts"

export interface TableProperties {
  readonly cells: number
  readonly tombstones: number
  readonly keyMin: Key
  readonly keyMax: Key
  /** The highest counter of any version in it. */
  readonly counterMax: number
  readonly sizeBytes: number
}

export interface Block {
  readonly firstKey: Key
  readonly offsetBytes: number
  readonly lengthBytes: number
  readonly crc32: number
}

export interface TableIndex {
  readonly properties: TableProperties
  readonly blocks: ReadonlyArray<Block>
  readonly bloom: Bloom.Bloom
}

const format = "rondo-sstable-1"

export const encode = ({ blocks, bloom, properties }: TableIndex): Buffer => {
  const lines = [JSON.stringify({ format, ...properties, blocks: blocks.length })]
  for (const block of blocks) lines.push(JSON.stringify(block))
  lines.push(JSON.stringify({ bloom: Buffer.from(bloom.bits.buffer).toString("base64") }))
  const body = Buffer.from(`${lines.join("\n")}\n`)
  return Buffer.concat([body, Buffer.from(`{"crc32":${crc32(body)}}\n`)])
}

/** Undoes `encode`; a sentence about what is wrong when the bytes are not an index. */
export const decode = (bytes: Buffer): TableIndex | string => {
  const bodyBytes = bytes.lastIndexOf("\n", bytes.length - 2) + 1
  const body = bytes.subarray(0, bodyBytes)
  if (bytes.toString("latin1", bodyBytes) !== `{"crc32":${crc32(body)}}\n`) return "the checksum does not match"
  const lines = body.toString("utf8").split("\n")
  // The checksum holds, so these are the lines that `encode` wrote; only another format can surprise.
  const head = JSON.parse(lines[0]!) as TableProperties & { readonly format: string; readonly blocks: number }
  const { blocks: count, format: found, ...properties } = head
  if (found !== format) return `the format is ${found}, not ${format}`
  const blocks: Array<Block> = []
  for (let index = 1; index <= count; index++) blocks.push(JSON.parse(lines[index]!) as Block)
  const bits = Buffer.from((JSON.parse(lines[count + 1]!) as { readonly bloom: string }).bloom, "base64")
  return { properties, blocks, bloom: Bloom.fromBits(new Uint8Array(bits)) }
}

/** The block that would hold the key: the last whose first key is not above it; -1 when the key is below all. */
export const blockOf = ({ blocks }: TableIndex, key: string): number => {
  let low = 0
  let high = blocks.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compare(blocks[middle]!.firstKey, key) <= 0) low = middle + 1
    else high = middle
  }
  return low - 1
}
