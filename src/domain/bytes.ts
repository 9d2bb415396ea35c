/**
 * Bytes and their texts, checksums and order: the one way to them from here to the coordinator, so that all of it runs
 * in a browser too. In Node they are `Buffer`s at run time, see `bytesNode`.
 *
 * Pure. Import it as `Bytes`: callers name their values `bytes`.
 */
import { node } from "./bytesNode.ts"
import { portable } from "./bytesPortable.ts"

const { utf8: utf8Between, ...chosen } = node ?? portable

export const {
  allocate,
  allocateOwn,
  compare,
  concat,
  copy,
  crc32,
  fromBase64,
  fromUtf8,
  indexOf,
  isUtf8,
  latin1,
  toBase64,
  utf8Length,
  view,
  writeLatin1,
  writeUtf8
} = chosen

export const none: Uint8Array<ArrayBuffer> = allocate(0)

/** The text of a range, which stops at the last byte, or of all bytes. */
export const utf8 = (bytes: Uint8Array, start = 0, end = bytes.length): string =>
  utf8Between(bytes, start, Math.min(end, bytes.length))

export const equals = (left: Uint8Array, right: Uint8Array): boolean => compare(left, right) === 0

/** A copy in memory that small ones share. */
export const copyOf = (bytes: Uint8Array, start = 0, end = bytes.length): Uint8Array<ArrayBuffer> => {
  const own = allocate(end - start)
  copy(bytes, own, 0, start, end)
  return own
}

/** Little-endian, as all integers in files and messages are. */
export const uint16At = (bytes: Uint8Array, at: number): number => bytes[at]! | bytes[at + 1]! << 8

export const uint32At = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16 | bytes[at + 3]! << 24) >>> 0

export const putUint16 = (target: Uint8Array, value: number, at: number): void => {
  target[at] = value
  target[at + 1] = value >>> 8
}

export const putUint32 = (target: Uint8Array, value: number, at: number): void => {
  target[at] = value
  target[at + 1] = value >>> 8
  target[at + 2] = value >>> 16
  target[at + 3] = value >>> 24
}

const double = new DataView(new ArrayBuffer(8))
const doubleBytes = new Uint8Array(double.buffer)

export const doubleAt = (bytes: Uint8Array, at: number): number => {
  for (let index = 0; index < 8; index++) doubleBytes[index] = bytes[at + index]!
  return double.getFloat64(0, true)
}

export const putDouble = (target: Uint8Array, value: number, at: number): void => {
  double.setFloat64(0, value, true)
  for (let index = 0; index < 8; index++) target[at + index] = doubleBytes[index]!
}
