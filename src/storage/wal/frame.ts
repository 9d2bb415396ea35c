/**
 * The frame around each record of a log, and the reader that tells a torn tail from a damaged middle.
 *
 * Pure. The bytes are described in docs/formats/wal.md.
 *
 * Each frame says how much of the file was durable when it was written. So a damaged place is harmless when no whole
 * record behind it was written knowing that place to be durable: it was torn by the crash and acknowledged to nobody.
 * Otherwise the device lost what it had promised to keep.
 *
 * Source: the record format of LevelDB's log (`doc/log_format.md`), with the durable length in place of fixed blocks.
 */
import * as Bytes from "../../domain/bytes.ts"

/** `RLg1`, by which the reader finds the next record behind a damaged one. */
const magic = 0x31674c52
const magicBytes = Bytes.fromUtf8("RLg1")

/** Magic, checksum, length, durable length: four little-endian integers of 32 bits. */
export const headerBytes = 16

/** Writes the header of a frame whose payload of `length` bytes already stands behind it. */
export const seal = (frame: Uint8Array, start: number, length: number, durableBytes: number): void => {
  Bytes.putUint32(frame, magic, start)
  Bytes.putUint32(frame, length, start + 8)
  Bytes.putUint32(frame, durableBytes, start + 12)
  Bytes.putUint32(frame, Bytes.crc32(frame.subarray(start + 8, start + headerBytes + length)), start + 4)
}

export interface Frame {
  /** Where the frame starts in the file. */
  readonly offset: number
  readonly payload: Uint8Array
  readonly end: number
}

const markBytes = 3
const digitOne = 0x31
const digitNine = 0x39

/** The mark of a record that a later version wrote: the same letters with a higher digit. */
export const laterMark = (bytes: Uint8Array, offset: number): string | undefined => {
  const digit = bytes[offset + markBytes] ?? 0
  const isOurs = Bytes.equals(bytes.subarray(offset, offset + markBytes), magicBytes.subarray(0, markBytes))
  return isOurs && digit > digitOne && digit <= digitNine
    ? Bytes.latin1(bytes, offset, offset + magicBytes.length)
    : undefined
}

/** The whole and undamaged frame that starts at `offset`, or `undefined`. */
export const at = (bytes: Uint8Array, offset: number): Frame | undefined => {
  if (offset + headerBytes > bytes.length || Bytes.uint32At(bytes, offset) !== magic) return undefined
  const end = offset + headerBytes + Bytes.uint32At(bytes, offset + 8)
  if (end > bytes.length) return undefined
  if (Bytes.crc32(bytes.subarray(offset + 8, end)) !== Bytes.uint32At(bytes, offset + 4)) return undefined
  return { offset, payload: bytes.subarray(offset + headerBytes, end), end }
}

export type Reading =
  | { readonly _tag: "Intact"; readonly frames: ReadonlyArray<Frame> }
  /** Whole frames, then bytes that a crash left unfinished from `end` on. */
  | { readonly _tag: "TornTail"; readonly frames: ReadonlyArray<Frame>; readonly end: number }
  /** Bytes at `offset` are lost that a later record knew to be durable. */
  | { readonly _tag: "DamagedMiddle"; readonly offset: number }

/** Reads a whole log. */
export const readAll = (bytes: Uint8Array): Reading => {
  const frames: Array<Frame> = []
  let offset = 0
  while (offset < bytes.length) {
    const frame = at(bytes, offset)
    if (frame === undefined) {
      return wasDurable(bytes, offset)
        ? { _tag: "DamagedMiddle", offset }
        : { _tag: "TornTail", frames, end: offset }
    }
    frames.push(frame)
    offset = frame.end
  }
  return { _tag: "Intact", frames }
}

/** Whether a whole record behind `damaged` was written after that place had been synced. */
const wasDurable = (bytes: Uint8Array, damaged: number): boolean => {
  for (let offset = damaged + 1;; offset++) {
    offset = Bytes.indexOf(bytes, magicBytes, offset)
    if (offset === -1) return false
    // No record knows of more durable bytes than stood before it: what says so is a value that looks like a record.
    // Looked at first, because a checksum of each place in a value made for it would take minutes.
    if (offset + headerBytes > bytes.length) return false
    const durableBytes = Bytes.uint32At(bytes, offset + 12)
    if (durableBytes > damaged && durableBytes <= offset && at(bytes, offset) !== undefined) return true
  }
}

/** Every whole record, also behind damaged ones. */
export const salvage = (bytes: Uint8Array): ReadonlyArray<Frame> => {
  const frames: Array<Frame> = []
  for (let offset = 0; offset !== -1;) {
    const found = at(bytes, offset)
    if (found !== undefined) frames.push(found)
    offset = Bytes.indexOf(bytes, magicBytes, found === undefined ? offset + 1 : found.end)
  }
  return frames
}
