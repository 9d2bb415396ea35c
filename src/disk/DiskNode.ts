/**
 * `Disk` over the operating system's files.
 *
 * Small appends, and reads as long as the page cache answers them, are synchronous: they take a few microseconds, less
 * than a trip through the thread pool costs. Everything that waits for a device (syncs, reads that miss, large appends)
 * goes through the pool, so the event loop goes on meanwhile. An operation is never interrupted half way, so its
 * descriptor cannot be closed, and its number given to another file, under it.
 */
import { Effect, Layer } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Bytes from "../domain/bytes.ts"
import { type AppendHandle, DirectoryLocked, Disk, type Link, type ReadHandle } from "./Disk.ts"
import { DiskError, DiskFull, isMissing, isUnreadable, type StorageError } from "./StorageError.ts"

/** Copying this much takes about 30 microseconds, as much as the event loop may well be held. */
const synchronousAppendBytesMax = 64 * 1024

const failure = (operation: string, file: string, cause: unknown): StorageError => {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "EUNKNOWN"
  return code === "ENOSPC" || code === "EDQUOT"
    ? new DiskFull({ path: file })
    : new DiskError({ operation, path: file, code })
}

type Failure = NodeJS.ErrnoException | null

/** One asynchronous call of `node:fs`, typed and uninterruptible. */
const call = <A>(
  operation: string,
  file: string,
  run: (done: (error: Failure, value: A) => void) => void
): Effect.Effect<A, StorageError> =>
  Effect.uninterruptible(Effect.callback<A, StorageError>((resume) => {
    run((error, value) => resume(error === null ? Effect.succeed(value) : Effect.fail(failure(operation, file, error))))
  }))

const command = (operation: string, file: string, run: (done: (error: Failure) => void) => void) =>
  call<void>(operation, file, (done) => run((error) => done(error, undefined)))

const closing = (descriptor: number) =>
  Effect.ignore(command("close", String(descriptor), (done) => fs.close(descriptor, done)))

/** Closes once: by a second time the number may belong to another file. */
const closingOnce = (descriptor: number) => {
  let closed = false
  return Effect.suspend(() => {
    if (closed) return Effect.void
    closed = true
    return closing(descriptor)
  })
}

const open = (operation: string, file: string, flags: string) =>
  call<number>(operation, file, (done) => fs.open(file, flags, 0o644, done))

const whenMissing = <A, B>(effect: Effect.Effect<A, StorageError>, instead: B) =>
  Effect.catchIf(effect, isMissing, () => Effect.succeed(instead))

const syncDirectory = (directory: string) =>
  Effect.acquireUseRelease(
    open("syncDirectory", directory, "r"),
    (descriptor) => command("syncDirectory", directory, (done) => fs.fsync(descriptor, done)),
    closing
  )

/** A new directory is durable once its parent is synced; `first` is the outermost that was created. */
const syncParents = Effect.fnUntraced(function*(directory: string, first: string) {
  for (let created = directory;; created = path.dirname(created)) {
    yield* syncDirectory(path.dirname(created))
    if (created === first) return
  }
})

const makeDirectory = Effect.fnUntraced(function*(directory: string) {
  const absolute = path.resolve(directory)
  const first = yield* call<string | undefined>(
    "makeDirectory",
    absolute,
    (done) => fs.mkdir(absolute, { recursive: true }, done)
  )
  if (first !== undefined) yield* syncParents(absolute, path.resolve(first))
})

/**
 * A read that the device is asked for brings what lies around it into the page cache: neighbours cost the device
 * little, and the next read that wants them costs a trip of its own.
 */
const readAroundBytes = 64 * 1024

/** Through the thread pool. A place beside what is wanted, which the device cannot read, does not count. */
const readFully = (descriptor: number, file: string, offset: number, length: number) => {
  const start = offset - (offset % readAroundBytes)
  const around = Math.ceil((offset + length - start) / readAroundBytes) * readAroundBytes
  return Effect.catchIf(
    readRange(descriptor, file, offset, length, start, around),
    isUnreadable,
    () => readRange(descriptor, file, offset, length, offset, length)
  )
}

/** Reads `memoryBytes` from `start` on until what is wanted is there, because a single read may return less. */
const readRange = (
  descriptor: number,
  file: string,
  offset: number,
  length: number,
  start: number,
  memoryBytes: number
) =>
  call<Uint8Array>("read", file, (done) => {
    if (length === 0) return done(null, Bytes.none)
    const end = offset + length
    const memory = Bytes.allocateOwn(memoryBytes)
    // A copy, because a view would keep all the memory.
    const wanted = () => Bytes.copyOf(memory, offset - start, end - start)
    const step = (filled: number): void =>
      fs.read(descriptor, memory, filled, memory.length - filled, start + filled, (error, count) => {
        if (error !== null) return done(error, memory)
        if (start + filled + count >= end) return done(null, wanted())
        if (count === 0) return done(Object.assign(new Error("end of file"), { code: "EOF" }), memory)
        return step(filled + count)
      })
    step(0)
  })

/** A read slower than this was not answered by the page cache: the device was asked, and the event loop stood still. */
const slowReadMillis = 0.04
/** When this share of the latest reads was slow, the page cache does not hold what is wanted. */
const slowShareMost = 1 / 4
/** Weight of one read in the share: a process that loses its core for a moment is not taken for a slow device. */
const readWeight = 1 / 16
/** How many reads then go through the thread pool before the page cache gets another chance. */
const readsThroughPoolCount = 64
let slowShare = 0
let readsThroughPool = 0

/** A caller that gets nothing reads through the pool, which reports the failure. */
const readNow = (descriptor: number, offset: number, length: number, target: Uint8Array): boolean => {
  if (readsThroughPool > 0) {
    readsThroughPool--
    return false
  }
  const began = performance.now()
  try {
    for (let filled = 0; filled < length;) {
      const count = fs.readSync(descriptor, target, filled, length - filled, offset + filled)
      if (count === 0) return false
      filled += count
    }
  } catch {
    return false
  }
  slowShare += ((performance.now() - began > slowReadMillis ? 1 : 0) - slowShare) * readWeight
  if (slowShare > slowShareMost) {
    // One or two slow reads more are enough to go back to the pool.
    slowShare = slowShareMost - readWeight
    readsThroughPool = readsThroughPoolCount
  }
  return true
}

const openRead = (file: string) =>
  Effect.map(open("openRead", file, "r"), (descriptor): ReadHandle => ({
    read: (offsetBytes, lengthBytes) => readFully(descriptor, file, offsetBytes, lengthBytes),
    readNow: (offsetBytes, lengthBytes, target) => readNow(descriptor, offsetBytes, lengthBytes, target),
    close: closingOnce(descriptor)
  }))

const appendSync = (descriptor: number, file: string, bytes: Uint8Array): Effect.Effect<void, StorageError> => {
  try {
    for (let written = 0; written < bytes.length;) written += fs.writeSync(descriptor, bytes, written)
    return Effect.void
  } catch (cause) {
    return Effect.fail(failure("append", file, cause))
  }
}

const appendAsync = (descriptor: number, file: string, bytes: Uint8Array) =>
  command("append", file, (done) => {
    const step = (written: number): void =>
      fs.write(descriptor, bytes, written, bytes.length - written, null, (error, count) => {
        if (error !== null) return done(error)
        return written + count === bytes.length ? done(null) : step(written + count)
      })
    step(0)
  })

const openAppend = (file: string, options?: { readonly empty?: boolean }) =>
  Effect.map(open("openAppend", file, "a"), (descriptor): AppendHandle => ({
    append: (bytes) =>
      bytes.length <= synchronousAppendBytesMax
        ? Effect.suspend(() => appendSync(descriptor, file, bytes))
        : appendAsync(descriptor, file, bytes),
    sync: command("sync", file, (done) => fs.fdatasync(descriptor, done)),
    close: closingOnce(descriptor)
  })).pipe(
    (opened) => options?.empty === true ? Effect.andThen(emptied(file), opened) : opened
  )

const emptied = (file: string) => Effect.flatMap(open("openAppend", file, "w"), closing)

const truncate = (file: string, sizeBytes: number) =>
  Effect.acquireUseRelease(
    open("truncate", file, "r+"),
    (descriptor) =>
      Effect.andThen(
        command("truncate", file, (done) => fs.ftruncate(descriptor, sizeBytes, done)),
        command("truncate", file, (done) => fs.fsync(descriptor, done))
      ),
    closing
  )

/**
 * Node offers no file locks, but its SQLite takes one: a kernel lock on an empty file. It dies with the process even
 * after `kill -9`, so there is no stale lock to take over, and it does not depend on process ids, which are all 1 in
 * containers.
 */
const acquireLock = (directory: string) =>
  Effect.suspend((): Effect.Effect<DatabaseSync, StorageError | DirectoryLocked> => {
    let database: DatabaseSync | undefined
    try {
      database = new DatabaseSync(path.join(directory, "LOCK"))
      database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE")
      return Effect.succeed(database)
    } catch (cause) {
      database?.close()
      return Effect.fail(isBusy(cause) ? new DirectoryLocked({ path: directory }) : failure("lock", directory, cause))
    }
  })

const sqliteBusy = 5

const isBusy = (cause: unknown): boolean => cause instanceof Error && "errcode" in cause && cause.errcode === sqliteBusy

/** The answers of a file system that has no second names, or not between these two places. */
const linkRefusals = new Set(["EXDEV", "EPERM", "ENOTSUP", "EOPNOTSUPP", "EMLINK"])

const link = (from: string, to: string): Effect.Effect<Link, StorageError> =>
  Effect.catchIf(
    Effect.as(command("link", to, (done) => fs.link(from, to, done)), "linked" as const),
    (error: StorageError) => error._tag === "DiskError" && linkRefusals.has(error.code),
    () => Effect.as(copy(from, to), "copied" as const)
  )

const copy = (from: string, to: string) =>
  command("link", to, (done) => fs.copyFile(from, to, fs.constants.COPYFILE_EXCL, done)).pipe(
    Effect.andThen(Effect.acquireUseRelease(
      open("link", to, "r+"),
      (descriptor) => command("link", to, (done) => fs.fsync(descriptor, done)),
      closing
    ))
  )

export const layer: Layer.Layer<Disk> = Layer.succeed(Disk, {
  makeDirectory,
  list: (directory) =>
    Effect.map(
      call<Array<string>>("list", directory, (done) => fs.readdir(directory, done)),
      (names) => names.sort()
    ),
  readFile: (file) =>
    whenMissing(call<Uint8Array | undefined>("readFile", file, (done) => fs.readFile(file, done)), undefined),
  sizeBytes: (file) => Effect.map(call<fs.Stats>("size", file, (done) => fs.stat(file, done)), (stat) => stat.size),
  openRead,
  openAppend,
  truncate,
  rename: (from, to) => command("rename", from, (done) => fs.rename(from, to, done)),
  link,
  removeDirectory: (directory) =>
    command("removeDirectory", directory, (done) => fs.rm(directory, { recursive: true, force: true }, done)),
  remove: (file) => whenMissing(command("remove", file, (done) => fs.unlink(file, done)), undefined),
  syncDirectory,
  lock: (directory) =>
    Effect.asVoid(Effect.acquireRelease(acquireLock(directory), (database) => Effect.sync(() => database.close())))
})
