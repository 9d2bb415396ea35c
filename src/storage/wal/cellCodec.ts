/**
 * Cells as bytes in a log record: the compact form, for the path of every write.
 *
 * Pure. The bytes are described in docs/formats/wal.md. Made by hand because it costs a third of a schema-derived
 * codec, once for each cell that the node takes.
 */
import type { Cell } from "../../domain/Cell.ts"
import type { Key } from "../../domain/Key.ts"
import type { NodeId } from "../../domain/NodeId.ts"
import type { Incarnation } from "../../domain/Version.ts"

/** Flags, node id length, key length, content type length, value length, counter. */
const headBytes = 1 + 1 + 2 + 4 + 4 + 8
const incarnationBytes = 12
const tombstoneFlag = 1

/** At least the bytes that `encode` will write: a UTF-16 unit takes three bytes of UTF-8 at most. */
export const sizeMax = ({ key, value, version }: Cell): number =>
  headBytes + incarnationBytes + version.nodeId.length + key.length * 3 +
  (value === undefined ? 0 : value.contentType.length * 3 + value.bytes.length)

/** Writes the cell at `start`, where `sizeMax` bytes must be free, and returns where it ends. */
export const encode = (cell: Cell, target: Buffer, start: number): number => {
  const { key, value, version } = cell
  const { incarnation, nodeId } = version
  let end = start + headBytes
  end = writeText(target, incarnation, end)
  end = writeText(target, nodeId, end)
  const keyStart = end
  end = writeText(target, key, end)
  const typeStart = end
  let valueLength = 0
  if (value !== undefined) {
    end = writeText(target, value.contentType, end)
    valueLength = value.bytes.length
  }
  target[start] = value === undefined ? tombstoneFlag : 0
  target[start + 1] = nodeId.length
  target.writeUInt16LE(typeStart - keyStart, start + 2)
  target.writeUInt32LE(end - typeStart, start + 4)
  target.writeUInt32LE(valueLength, start + 8)
  target.writeDoubleLE(version.counter, start + 12)
  if (value !== undefined) {
    target.set(value.bytes, end)
    end += valueLength
  }
  return end
}

/** All cells of a record, or `undefined` when the bytes are not cells. The values share the record's memory. */
export const decodeAll = (bytes: Buffer): ReadonlyArray<Cell> | undefined => {
  const cells: Array<Cell> = []
  let start = 0
  while (start < bytes.length) {
    if (start + headBytes > bytes.length) return undefined
    const incarnation = start + headBytes
    const nodeId = incarnation + incarnationBytes
    const key = nodeId + bytes[start + 1]!
    const type = key + bytes.readUInt16LE(start + 2)
    const value = type + bytes.readUInt32LE(start + 4)
    const end = value + bytes.readUInt32LE(start + 8)
    if (end > bytes.length) return undefined
    cells.push({
      key: bytes.toString("utf8", key, type) as Key,
      version: {
        counter: bytes.readDoubleLE(start + 12),
        nodeId: bytes.toString("latin1", nodeId, key) as NodeId,
        incarnation: bytes.toString("latin1", incarnation, nodeId) as Incarnation
      },
      value: bytes[start] === tombstoneFlag
        ? undefined
        : { bytes: bytes.subarray(value, end), contentType: bytes.toString("utf8", type, value) }
    })
    start = end
  }
  return cells
}

/** Short ASCII text is written faster by hand than by a call into C++. */
const writeText = (target: Buffer, text: string, start: number): number => {
  const { length } = text
  if (length > 48) return start + target.write(text, start)
  for (let index = 0; index < length; index++) {
    const unit = text.charCodeAt(index)
    if (unit > 0x7f) return start + target.write(text, start)
    target[start + index] = unit
  }
  return start + length
}
