/**
 * A log of records in one file: appended at the end, read back whole or in part, cut. Storage keeps its write-ahead
 * log in it, the replicator its hints.
 *
 * Invariants
 * - A record is read back whole or not at all.
 * - After a failed sync, or a failed append that could not be undone, the log takes no more records: what it holds
 *   on the device is unknown, and syncing again would wrongly report it as safe.
 */
import { Effect } from "effect"
import { type AppendHandle, directoryOf, type Disk, writeAtomically } from "../../disk/Disk.ts"
import { Corruption, DiskError, type StorageError, UnknownFormat } from "../../disk/StorageError.ts"
import * as Bytes from "../../domain/bytes.ts"
import * as frame from "./frame.ts"

/** Lengths and offsets are kept in 32 bits. */
export const logBytesMax = 0xffffffff

/** `wal-000012.log`. */
export const pathOf = (directory: string, log: number): string => `${directory}/wal-${String(log).padStart(6, "0")}.log`

export interface RecordLog {
  readonly path: string
  /** The bytes of all whole records. */
  readonly sizeBytes: () => number
  /** Whether it takes no more records, see above. */
  readonly isBroken: () => boolean
  /** Appends one record each. When it fails, none of them is in the log. */
  readonly append: (payloads: ReadonlyArray<Uint8Array>) => Effect.Effect<void, StorageError>
  /**
   * Appends one record whose payload fills the buffer from `frame.headerBytes` on: for a writer that encodes in place.
   */
  readonly appendFramed: (framed: Uint8Array) => Effect.Effect<void, StorageError>
  /** Makes every record appended before it durable. */
  readonly sync: Effect.Effect<void, StorageError>
  /** Appends an empty record that vouches for all before it, so that damage to the last one is found as well. */
  readonly vouch: Effect.Effect<void, StorageError>
  /** Whole records from the offset of one on, as many as fit into `bytesMax` but at least one. */
  readonly read: (offset: number, bytesMax: number) => Effect.Effect<RecordPage, StorageError>
  /** Cuts the log after a record, durably. */
  readonly truncate: (sizeBytes: number) => Effect.Effect<void, StorageError>
  readonly close: Effect.Effect<void>
}

export interface RecordPage {
  readonly payloads: ReadonlyArray<Uint8Array>
  /** Where the next record starts; equal to `sizeBytes()` at the end. */
  readonly next: number
}

/** The contents of an existing file when it was opened or read. */
export interface Contents {
  readonly payloads: ReadonlyArray<Uint8Array>
  readonly sizeBytes: number
  /** Bytes behind the last whole record that a crash left, and that are cut. */
  readonly tornBytes: number
  /** Bytes between whole records that were durable once and are damaged; not 0 only when it was salvaged. */
  readonly lostBytes: number
}

/**
 * Reads a whole log, cuts a torn tail from the file, and syncs it: a process that was killed may have left records in
 * the system's cache that no sync has reached, and a caller that answers for them promises that they stay. `Corruption`
 * when the middle is damaged, unless it is to be salvaged: then whole records are kept and the rest is left in a file
 * beside it.
 */
export const recover = Effect.fnUntraced(function*(
  disk: Disk["Service"],
  path: string,
  options?: { readonly salvage: boolean }
): Effect.fn.Return<Contents, StorageError> {
  const bytes = (yield* disk.readFile(path)) ?? Bytes.none
  const format = frame.laterMark(bytes, 0)
  // To a reader of this version its records look torn, and torn ones are cut.
  if (format !== undefined) return yield* new UnknownFormat({ path, format, known: "RLg1" })
  const reading = frame.readAll(bytes)
  if (reading._tag === "DamagedMiddle") {
    if (options?.salvage === true) return yield* salvage(disk, path, bytes)
    return yield* new Corruption({
      path,
      offsetBytes: reading.offset,
      reason: "the record's checksum or header does not match, and records behind it are whole"
    })
  }
  const sizeBytes = reading._tag === "TornTail" ? reading.end : bytes.length
  yield* sizeBytes < bytes.length ? disk.truncate(path, sizeBytes) : syncFile(disk, path)
  return { payloads: payloadsOf(reading.frames), sizeBytes, tornBytes: bytes.length - sizeBytes, lostBytes: 0 }
})

const payloadsOf = (frames: ReadonlyArray<frame.Frame>): ReadonlyArray<Uint8Array> =>
  frames.filter(({ payload }) => payload.length > 0).map(({ payload }) => payload)

/** Puts a log of the whole records alone in the place of the damaged one, which is kept as `.damaged`. */
const salvage = Effect.fnUntraced(function*(disk: Disk["Service"], path: string, bytes: Uint8Array) {
  const frames = frame.salvage(bytes)
  const kept = framed(frames.map(({ payload }) => payload), 0)
  const lostBytes = bytes.length - kept.length
  yield* disk.remove(`${path}.damaged`)
  yield* disk.link(path, `${path}.damaged`)
  yield* writeAtomically(disk, path, kept)
  yield* Effect.logError(`${path}: ${lostBytes} damaged bytes are given up; the file is kept as ${path}.damaged`)
  return { payloads: payloadsOf(frames), sizeBytes: kept.length, tornBytes: 0, lostBytes }
})

const syncFile = (disk: Disk["Service"], path: string) =>
  Effect.flatMap(disk.openAppend(path), (handle) => Effect.ensuring(handle.sync, handle.close))

/** Opens a log that `recover` has read, or creates an empty one, whose name is durable when this returns. */
export const open = Effect.fnUntraced(function*(disk: Disk["Service"], path: string, sizeBytes: number) {
  const handle = yield* disk.openAppend(path)
  yield* Effect.tapError(disk.syncDirectory(directoryOf(path)), () => handle.close)
  return make(disk, path, handle, sizeBytes)
})

const make = (disk: Disk["Service"], path: string, handle: AppendHandle, initialBytes: number): RecordLog => {
  let sizeBytes = initialBytes
  let durableBytes = initialBytes
  let broken = false

  const failBroken = Effect.suspend(() => Effect.fail(new DiskError({ operation: "append", path, code: "BROKEN_LOG" })))
  const breakLog = Effect.sync(() => {
    broken = true
  })

  /** Takes a half-written record away again, so that the next one follows a whole one. */
  const undo = Effect.catch(Effect.suspend(() => disk.truncate(path, sizeBytes)), () => breakLog)

  const write = (bytes: Uint8Array): Effect.Effect<void, StorageError> => {
    if (broken || sizeBytes + bytes.length > logBytesMax) return failBroken
    return Effect.andThen(
      Effect.tapError(handle.append(bytes), () => undo),
      Effect.sync(() => {
        sizeBytes += bytes.length
      })
    )
  }

  const appendFramed = (framed: Uint8Array) =>
    Effect.suspend(() => {
      frame.seal(framed, 0, framed.length - frame.headerBytes, durableBytes)
      return write(framed)
    })

  const sync = Effect.suspend(() => {
    if (broken) return failBroken
    const syncedBytes = sizeBytes
    return Effect.andThen(
      Effect.tapError(handle.sync, () => breakLog),
      Effect.sync(() => {
        durableBytes = Math.max(durableBytes, syncedBytes)
      })
    )
  })

  return {
    path,
    sizeBytes: () => sizeBytes,
    isBroken: () => broken,
    append: (payloads) => Effect.suspend(() => write(framed(payloads, durableBytes))),
    appendFramed,
    sync,
    vouch: Effect.suspend(() => durableBytes < sizeBytes ? sync : Effect.void).pipe(
      Effect.andThen(Effect.suspend(() => appendFramed(Bytes.allocate(frame.headerBytes))))
    ),
    read: (offset, bytesMax) => readPage(disk, path, sizeBytes, offset, bytesMax),
    truncate: (size) =>
      Effect.andThen(
        disk.truncate(path, size),
        Effect.sync(() => {
          sizeBytes = size
          durableBytes = size
        })
      ),
    close: handle.close
  }
}

const framed = (payloads: ReadonlyArray<Uint8Array>, durableBytes: number): Uint8Array => {
  let length = 0
  for (const payload of payloads) length += frame.headerBytes + payload.length
  const buffer = Bytes.allocate(length)
  let start = 0
  for (const payload of payloads) {
    buffer.set(payload, start + frame.headerBytes)
    frame.seal(buffer, start, payload.length, durableBytes)
    start += frame.headerBytes + payload.length
  }
  return buffer
}

const readPage = Effect.fnUntraced(function*(
  disk: Disk["Service"],
  path: string,
  sizeBytes: number,
  offset: number,
  bytesMax: number
): Effect.fn.Return<RecordPage, StorageError> {
  if (offset >= sizeBytes) return { payloads: [], next: offset }
  const handle = yield* disk.openRead(path)
  const length = Math.min(sizeBytes - offset, Math.max(bytesMax, frame.headerBytes))
  return yield* Effect.gen(function*() {
    const bytes = yield* handle.read(offset, length)
    const page = wholeRecords(bytes, offset)
    if (page.next > offset) return page
    // The first record is larger than the page: read exactly it.
    const needed = Math.min(frame.headerBytes + Bytes.uint32At(bytes, 8), sizeBytes - offset)
    const larger = wholeRecords(yield* handle.read(offset, needed), offset)
    if (larger.next > offset) return larger
    return yield* new Corruption({ path, offsetBytes: offset, reason: "the record's checksum does not match" })
  }).pipe(Effect.ensuring(handle.close))
})

const wholeRecords = (bytes: Uint8Array, base: number): RecordPage => {
  const payloads: Array<Uint8Array> = []
  let next = 0
  for (let found = frame.at(bytes, 0); found !== undefined; found = frame.at(bytes, next)) {
    if (found.payload.length > 0) payloads.push(found.payload)
    next = found.end
  }
  return { payloads, next: base + next }
}
