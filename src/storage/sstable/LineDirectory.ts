/**
 * Where a block's lines begin, by the hash of their keys: an open-addressing table made for a block that is looked
 * into again and again. Searching its bytes takes some 5 microseconds each time, this half a microsecond, but making
 * it takes as long as several searches, so blocks that are read once do without.
 *
 * Pure.
 */
import * as Bloom from "./Bloom.ts"
import * as cellLines from "./cellLines.ts"

/** Each slot holds a line's start plus one, or zero. */
export type LineDirectory = Uint32Array

export const make = (block: Buffer): LineDirectory => {
  const starts: Array<number> = []
  const hashes: Array<number> = []
  for (let start = 0; start < block.length;) {
    const line = cellLines.at(block, start)
    starts.push(start)
    hashes.push(Bloom.hash(cellLines.keyOf(line)).first)
    start = line.end + 1
  }
  let slots = 2
  while (slots < 2 * starts.length) slots *= 2
  const directory = new Uint32Array(slots)
  for (let index = 0; index < starts.length; index++) {
    let slot = hashes[index]! & (slots - 1)
    while (directory[slot] !== 0) slot = (slot + 1) & (slots - 1)
    directory[slot] = starts[index]! + 1
  }
  return directory
}

export const find = (
  directory: LineDirectory,
  block: Buffer,
  key: string,
  hash: Bloom.KeyHash
): cellLines.Line | undefined => {
  const mask = directory.length - 1
  // A slot in two is free, so the probing ends.
  for (let slot = hash.first & mask; directory[slot] !== 0; slot = (slot + 1) & mask) {
    const line = cellLines.at(block, directory[slot]! - 1)
    if (cellLines.keyOf(line) === key) return line
  }
  return undefined
}
