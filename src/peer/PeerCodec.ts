/**
 * The compact binary bodies of `/internal/kv` and `/internal/read`, laid out in docs/formats/peer-messages.md.
 *
 * Pure, except for the memory that small values share. Written by hand over the log's layout of a cell
 * (`domain/cell/cellCodec`): every replica of every write pays for it, and bodies derived from a schema
 * (`SchemaBinary`) took 2.7 times as long (2.4 microseconds against 0.9 in batches of eight, 5.2 against 1.1 alone).
 *
 * Decoding never throws: it returns `undefined` for bytes that are not a message of this protocol version. Everything
 * decoded is checked, so a bad node can neither store a key out of bounds nor exhaust the Lamport clock.
 */
import { valueBytesMaxMax } from "../config/NodeConfig.ts"
import * as Bytes from "../domain/bytes.ts"
import { type Cell, contentTypeBytesMax, type Value } from "../domain/cell/Cell.ts"
import * as cellCodec from "../domain/cell/cellCodec.ts"
import { isKey, type Key } from "../domain/Key.ts"
import { isNodeId } from "../domain/NodeId.ts"
import { counterMax, type Version } from "../domain/Version.ts"
import { batchCellsMax } from "./PeerApi.ts"
import type { ReadAnswer, ReadRequest, WriteAnswer } from "./PeerClient.ts"
import { protocolVersion } from "./PeerProtocol.ts"

/** The protocol version and the number of entries. */
const headBytes = 1 + 2

/** Flags of an answer to a write. Without any it is superseded, and the newer version follows. */
const acceptedFlag = 1
const replacedFlag = 2
const recoveringFlag = 4
const storageFlag = 8

/** Flag of a request to read, before the key's length. */
const fullFlag = 1

/** Flags of an answer to a read: a version follows, alone or with the cell's value. */
const versionFlag = 1
const cellFlag = 2
const unreadableFlag = 8

export const encodeWrites = (cells: ReadonlyArray<Cell>): Uint8Array<ArrayBuffer> => {
  let needed = 0
  for (const cell of cells) needed += cellCodec.bytesMax(cell)
  const target = begin(cells.length, needed)
  let end = headBytes
  for (const cell of cells) end = cellCodec.encode(cell, target, end)
  return target.subarray(0, end)
}

export const decodeWrites = (bytes: Uint8Array): ReadonlyArray<Cell> | undefined => {
  const message = open(bytes)
  if (message === undefined) return undefined
  const cells: Array<Cell> = []
  for (let index = 0; index < message.count; index++) {
    const cell = soundCell(message)
    if (cell === undefined || !isKey(cell.key)) return undefined
    cells.push(cell)
  }
  return isRead(message) ? cells : undefined
}

export const encodeWriteAnswers = (answers: ReadonlyArray<WriteAnswer>): Uint8Array<ArrayBuffer> => {
  let needed = answers.length
  for (const answer of answers) {
    if (answer._tag === "Superseded") needed += cellCodec.bytesMax(keyless(answer.newest, undefined))
  }
  const target = begin(answers.length, needed)
  let end = headBytes
  for (const answer of answers) {
    target[end++] = flagsOf(answer)
    if (answer._tag === "Superseded") end = cellCodec.encode(keyless(answer.newest, undefined), target, end)
  }
  return target.subarray(0, end)
}

const flagsOf = (answer: WriteAnswer): number => {
  if (answer._tag === "Superseded") return 0
  if (answer._tag === "Accepted") return answer.replaced ? acceptedFlag | replacedFlag : acceptedFlag
  return answer.reason === "recovering" ? recoveringFlag : storageFlag
}

export const decodeWriteAnswers = (bytes: Uint8Array): ReadonlyArray<WriteAnswer> | undefined => {
  const message = open(bytes)
  if (message === undefined) return undefined
  const answers: Array<WriteAnswer> = []
  for (let index = 0; index < message.count; index++) {
    const answer = writeAnswer(message)
    if (answer === undefined) return undefined
    answers.push(answer)
  }
  return isRead(message) ? answers : undefined
}

const writeAnswer = (message: Message): WriteAnswer | undefined => {
  switch (message.bytes[message.at++]) {
    case acceptedFlag:
      return accepted
    case acceptedFlag | replacedFlag:
      return acceptedInPlace
    case recoveringFlag:
      return recovering
    case storageFlag:
      return unreadable
    case 0: {
      const newest = loneVersion(message)
      return newest && { _tag: "Superseded", newest }
    }
  }
  return undefined
}

const accepted: WriteAnswer = { _tag: "Accepted", replaced: false }
const acceptedInPlace: WriteAnswer = { _tag: "Accepted", replaced: true }
const recovering: WriteAnswer = { _tag: "Uncounted", reason: "recovering" }
const unreadable: WriteAnswer = { _tag: "Uncounted", reason: "storage" }

export const encodeReads = (requests: ReadonlyArray<ReadRequest>): Uint8Array<ArrayBuffer> => {
  let needed = 0
  for (const { key } of requests) needed += 1 + cellCodec.textBytesMax(key)
  const target = begin(requests.length, needed)
  let end = headBytes
  for (const { full, key } of requests) {
    target[end] = full ? fullFlag : 0
    end = cellCodec.encodeText(key, target, end + 1)
  }
  return target.subarray(0, end)
}

export const decodeReads = (bytes: Uint8Array): ReadonlyArray<ReadRequest> | undefined => {
  const message = open(bytes)
  if (message === undefined) return undefined
  const requests: Array<ReadRequest> = []
  for (let index = 0; index < message.count; index++) {
    const flags = message.bytes[message.at++]
    const key = cellCodec.decodeText(message)
    if (flags === undefined || flags > fullFlag || key === undefined || !isKey(key)) return undefined
    requests.push({ key, full: flags === fullFlag })
  }
  return isRead(message) ? requests : undefined
}

export const encodeReadAnswers = (answers: ReadonlyArray<ReadAnswer>): Uint8Array<ArrayBuffer> => {
  const carried = answers.map(({ cell, version }) => version && keyless(version, cell?.value))
  let needed = answers.length
  for (const cell of carried) {
    if (cell !== undefined) needed += cellCodec.bytesMax(cell)
  }
  const target = begin(answers.length, needed)
  let end = headBytes
  for (const [index, { cell, isUnreadable, version }] of answers.entries()) {
    target[end++] = (cell !== undefined ? cellFlag : version !== undefined ? versionFlag : 0) |
      (isUnreadable === true ? unreadableFlag : 0)
    const carriedCell = carried[index]
    if (carriedCell !== undefined) end = cellCodec.encode(carriedCell, target, end)
  }
  return target.subarray(0, end)
}

/** Takes the keys from the requests, since they do not travel back. */
export const decodeReadAnswers = (
  bytes: Uint8Array,
  requests: ReadonlyArray<ReadRequest>
): ReadonlyArray<ReadAnswer> | undefined => {
  const message = open(bytes)
  if (message === undefined || message.count !== requests.length) return undefined
  const answers: Array<ReadAnswer> = []
  for (const { key } of requests) {
    const answer = readAnswer(message, key)
    if (answer === undefined) return undefined
    answers.push(answer)
  }
  return isRead(message) ? answers : undefined
}

const readAnswer = (message: Message, key: Key): ReadAnswer | undefined => {
  const flags = message.bytes[message.at++]
  if (flags === undefined) return undefined
  const contents = contentsOf(message, key, flags & ~unreadableFlag)
  if (contents === undefined) return undefined
  return (flags & unreadableFlag) === 0 ? contents : { ...contents, isUnreadable: true }
}

const contentsOf = (message: Message, key: Key, flags: number): ReadAnswer | undefined => {
  if (flags === 0) return { version: undefined, cell: undefined }
  if (flags === versionFlag) {
    const version = loneVersion(message)
    return version && { version, cell: undefined }
  }
  const carried = flags === cellFlag ? soundCell(message) : undefined
  if (carried === undefined || carried.key !== noKey) return undefined
  const { value, version } = carried
  return { version, cell: { key, version, value } }
}

/** A message whose head is read. */
interface Message extends cellCodec.Source {
  readonly count: number
  /** The last checked ones. Most cells of a message repeat them, and need no second check. */
  nodeId: string
  incarnation: string
  contentType: string
}

/** From shared memory, since a message is soon sent and forgotten. */
const begin = (count: number, bytes: number): Uint8Array<ArrayBuffer> => {
  const target = Bytes.allocate(headBytes + bytes)
  target[0] = protocolVersion
  Bytes.putUint16(target, count, 1)
  return target
}

const open = (body: Uint8Array): Message | undefined => {
  const bytes = Bytes.view(body)
  if (bytes.length < headBytes || bytes[0] !== protocolVersion) return undefined
  const count = Bytes.uint16At(bytes, 1)
  if (count > batchCellsMax) return undefined
  return { bytes, at: headBytes, valueOf: copyOf, count, nodeId: "", incarnation: "", contentType: "" }
}

const isRead = ({ at, bytes }: Message): boolean => at === bytes.length

/** The next cell. Its key is not checked. */
const soundCell = (message: Message): Cell | undefined => {
  const cell = cellCodec.decode(message)
  return cell !== undefined && isSound(message, cell.version) && isSoundValue(message, cell.value) ? cell : undefined
}

/** As `Version` and `NodeId` declare it. */
const isSound = (message: Message, { counter, incarnation, nodeId }: Version): boolean => {
  if (!Number.isInteger(counter) || counter < 1 || counter > counterMax) return false
  if (nodeId === message.nodeId && incarnation === message.incarnation) return true
  message.nodeId = nodeId
  message.incarnation = incarnation
  return isNodeId(nodeId) && /^[0-9a-f]{12}$/.test(incarnation)
}

/** The same limits as for clients: a content type that is no header value could never be read again. */
const isSoundValue = (message: Message, value: Value | undefined): boolean => {
  if (value === undefined) return true
  const { bytes, contentType } = value
  if (bytes.length > valueBytesMaxMax) return false
  if (contentType === message.contentType) return true
  message.contentType = contentType
  return contentType.length <= contentTypeBytesMax && /^[\x20-\x7e]*$/.test(contentType)
}

const noKey = "" as Key

/** A version alone travels as a tombstone without a key. */
const keyless = (version: Version, value: Value | undefined): Cell => ({ key: noKey, version, value })

const loneVersion = (message: Message): Version | undefined => {
  const cell = soundCell(message)
  return cell !== undefined && cell.key === noKey && cell.value === undefined ? cell.version : undefined
}

/**
 * Small values share slabs with others of about their size, since a buffer costs several times what the copy costs. A
 * slab lives as long as the last of its values, so it holds few: a value above 256 bytes takes at least an eighth of
 * it.
 */
interface Slab {
  readonly valueBytesMax: number
  bytes: Uint8Array<ArrayBuffer>
  used: number
}

const valuesPerSlab = 4

const newSlabBytes = (valueBytesMax: number) => new Uint8Array(valueBytesMax * valuesPerSlab)

const slabs = [256, 512, 1024, 2048].map((valueBytesMax): Slab => ({
  valueBytesMax,
  bytes: newSlabBytes(valueBytesMax),
  used: 0
}))

/** A view would keep the whole message in memory. */
const copyOf = (source: Uint8Array, start: number, end: number): Uint8Array => {
  const length = end - start
  for (const slab of slabs) {
    if (length <= slab.valueBytesMax) return copyInto(slab, source, start, end)
  }
  const own = new Uint8Array(length)
  Bytes.copy(source, own, 0, start, end)
  return own
}

const copyInto = (slab: Slab, source: Uint8Array, start: number, end: number): Uint8Array => {
  const at = slab.used + end - start > slab.bytes.length ? 0 : slab.used
  if (at < slab.used) slab.bytes = newSlabBytes(slab.valueBytesMax)
  Bytes.copy(source, slab.bytes, at, start, end)
  slab.used = at + end - start
  return new Uint8Array(slab.bytes.buffer, at, end - start)
}
