/**
 * The compact binary bodies of `/internal/kv` and `/internal/read`, each one declaration for type and bytes
 * (Effect's `SchemaBinary`, whose rows repeat neither field names nor node ids).
 *
 * Pure. Decoding returns `undefined` for bytes that are not a message of this protocol version; what is decoded has
 * been checked, so that one bad node can neither store a key out of bounds nor exhaust the Lamport clock.
 */
import { Schema } from "effect"
import { SchemaBinary } from "effect/encoding"
import { valueBytesMaxMax } from "../config/NodeConfig.ts"
import type { Cell } from "../domain/Cell.ts"
import { contentTypeBytesMax } from "../domain/Cell.ts"
import { isKey } from "../domain/Key.ts"
import type { NodeId } from "../domain/NodeId.ts"
import { counterMax, type Incarnation, type Version } from "../domain/Version.ts"
import { batchCellsMax } from "./PeerApi.ts"
import type { ReadAnswer, ReadRequest, WriteAnswer } from "./PeerClient.ts"
import { protocolVersion } from "./PeerProtocol.ts"

/** `counter` 0 stands for "no version". */
const stamp = { counter: Schema.Number, nodeId: Schema.String, incarnation: Schema.String }
/** Without unions, which cost more to decode than the rest; `flags` tell an empty value from none. */
const contents = { flags: Schema.Number, contentType: Schema.String, bytes: Schema.Uint8Array }

const WriteRequests = Schema.Struct({
  protocol: Schema.Number,
  cells: Schema.Array(Schema.Struct({ key: Schema.String, ...stamp, ...contents }))
})
const WriteAnswers = Schema.Struct({
  protocol: Schema.Number,
  /** One of the flags below, or 0 for superseded, with the stamp of the newer cell. */
  answers: Schema.Array(Schema.Struct({ flags: Schema.Number, ...stamp }))
})
const ReadRequests = Schema.Struct({
  protocol: Schema.Number,
  requests: Schema.Array(Schema.Struct({ key: Schema.String, full: Schema.Boolean }))
})
const ReadAnswers = Schema.Struct({
  protocol: Schema.Number,
  answers: Schema.Array(Schema.Struct({ ...stamp, ...contents }))
})

const acceptedFlag = 1
const replacedFlag = 2
const recoveringFlag = 4
const unreadableFlag = 8
/** Of a cell: it holds a value. Without it, a tombstone. */
const valueFlag = 1
/** Of an answer to a read: the cell came along, and not its version alone. */
const cellFlag = 2
const noBytes = new Uint8Array(0)
const noStamp = { counter: 0, nodeId: "", incarnation: "" }

const stampOf = (version: Version | undefined) => version ?? noStamp
const versionOf = (row: { counter: number; nodeId: string; incarnation: string }): Version | undefined =>
  row.counter === 0
    ? undefined
    : { counter: row.counter, nodeId: row.nodeId as NodeId, incarnation: row.incarnation as Incarnation }

/** As `Version` and `NodeId` declare it, without a schema per row. */
const isSound = ({ counter, incarnation, nodeId }: { counter: number; nodeId: string; incarnation: string }) =>
  counter === 0
    ? nodeId === "" && incarnation === ""
    : Number.isInteger(counter) && counter > 0 && counter <= counterMax &&
      /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(nodeId) && /^[0-9a-f]{12}$/.test(incarnation)

/** What a client may send; a type that is no header value could be stored and never be read again. */
const isSoundValue = ({ bytes, contentType }: { contentType: string; bytes: Uint8Array }) =>
  bytes.length <= valueBytesMaxMax && contentType.length <= contentTypeBytesMax && /^[\x20-\x7e]*$/.test(contentType)

const codec = <A extends { readonly protocol: number }, I>(schema: Schema.Codec<A, I>) => {
  const encode = Schema.encodeSync(SchemaBinary.toCodec(schema))
  const decode = Schema.decodeUnknownOption(SchemaBinary.toCodec(schema))
  return {
    encode: (message: A): Uint8Array<ArrayBuffer> => encode(message),
    decode: (bytes: Uint8Array): A | undefined => {
      // Of a plain array values are copied out; as views of a `Buffer` each would keep its whole batch alive.
      const decoded = decode(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength))
      return decoded._tag === "Some" && decoded.value.protocol === protocolVersion ? decoded.value : undefined
    }
  }
}

const writeRequests = codec(WriteRequests)
const writeAnswers = codec(WriteAnswers)
const readRequests = codec(ReadRequests)
const readAnswers = codec(ReadAnswers)

export const encodeWrites = (cells: ReadonlyArray<Cell>): Uint8Array<ArrayBuffer> =>
  writeRequests.encode({
    protocol: protocolVersion,
    cells: cells.map(({ key, value, version }) => ({
      key,
      counter: version.counter,
      nodeId: version.nodeId,
      incarnation: version.incarnation,
      flags: value === undefined ? 0 : valueFlag,
      contentType: value === undefined ? "" : value.contentType,
      bytes: value === undefined ? noBytes : value.bytes
    }))
  })

export const decodeWrites = (bytes: Uint8Array): ReadonlyArray<Cell> | undefined => {
  const message = writeRequests.decode(bytes)
  if (message === undefined || message.cells.length > batchCellsMax) return undefined
  const cells: Array<Cell> = []
  for (const row of message.cells) {
    const version = versionOf(row)
    if (version === undefined || !isSound(row) || !isKey(row.key) || !isSoundValue(row)) return undefined
    cells.push({ key: row.key, version, value: valueOf(row) })
  }
  return cells
}

export const encodeWriteAnswers = (answers: ReadonlyArray<WriteAnswer>): Uint8Array<ArrayBuffer> =>
  writeAnswers.encode({
    protocol: protocolVersion,
    answers: answers.map((answer) =>
      answer._tag === "Superseded" ? { flags: 0, ...answer.newest } : { flags: flagsOf(answer), ...noStamp }
    )
  })

const flagsOf = (answer: Exclude<WriteAnswer, { readonly _tag: "Superseded" }>): number => {
  if (answer._tag === "Accepted") return answer.replaced ? acceptedFlag | replacedFlag : acceptedFlag
  return answer.reason === "recovering" ? recoveringFlag : unreadableFlag
}

export const decodeWriteAnswers = (bytes: Uint8Array): ReadonlyArray<WriteAnswer> | undefined => {
  const message = writeAnswers.decode(bytes)
  if (message === undefined) return undefined
  const answers: Array<WriteAnswer> = []
  for (const row of message.answers) {
    if ((row.flags & acceptedFlag) !== 0) {
      answers.push({ _tag: "Accepted", replaced: (row.flags & replacedFlag) !== 0 })
      continue
    }
    if ((row.flags & (recoveringFlag | unreadableFlag)) !== 0) {
      answers.push({ _tag: "Uncounted", reason: (row.flags & recoveringFlag) !== 0 ? "recovering" : "storage" })
      continue
    }
    const newest = versionOf(row)
    if (newest === undefined || !isSound(row)) return undefined
    answers.push({ _tag: "Superseded", newest })
  }
  return answers
}

export const encodeReads = (requests: ReadonlyArray<ReadRequest>): Uint8Array<ArrayBuffer> =>
  readRequests.encode({ protocol: protocolVersion, requests })

export const decodeReads = (bytes: Uint8Array): ReadonlyArray<ReadRequest> | undefined => {
  const message = readRequests.decode(bytes)
  if (message === undefined || message.requests.length > batchCellsMax) return undefined
  if (!message.requests.every(({ key }) => isKey(key))) return undefined
  return message.requests as ReadonlyArray<ReadRequest>
}

export const encodeReadAnswers = (answers: ReadonlyArray<ReadAnswer>): Uint8Array<ArrayBuffer> =>
  readAnswers.encode({
    protocol: protocolVersion,
    answers: answers.map(({ cell, isUnreadable, version }) => ({
      ...stampOf(version),
      flags: (isUnreadable === true ? unreadableFlag : 0) |
        (cell === undefined ? 0 : cell.value === undefined ? cellFlag : cellFlag | valueFlag),
      contentType: cell?.value === undefined ? "" : cell.value.contentType,
      bytes: cell?.value === undefined ? noBytes : cell.value.bytes
    }))
  })

/** `requests` are those that the answers belong to: a cell's key does not travel back. */
export const decodeReadAnswers = (
  bytes: Uint8Array,
  requests: ReadonlyArray<ReadRequest>
): ReadonlyArray<ReadAnswer> | undefined => {
  const message = readAnswers.decode(bytes)
  if (message === undefined || message.answers.length !== requests.length) return undefined
  const answers: Array<ReadAnswer> = []
  for (const [index, row] of message.answers.entries()) {
    if (!isSound(row) || !isSoundValue(row)) return undefined
    const version = versionOf(row)
    const cell = (row.flags & cellFlag) !== 0 && version !== undefined
      ? { key: requests[index]!.key, version, value: valueOf(row) }
      : undefined
    answers.push((row.flags & unreadableFlag) === 0 ? { version, cell } : { version, cell, isUnreadable: true })
  }
  return answers
}

const valueOf = ({ bytes, contentType, flags }: { flags: number; contentType: string; bytes: Uint8Array }) =>
  (flags & valueFlag) === 0 ? undefined : { bytes, contentType }
