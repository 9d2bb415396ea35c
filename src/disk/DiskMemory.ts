/**
 * `Disk` in memory, with the failures of a real one on demand.
 *
 * A crash may take away as much as POSIX allows, more than usual file systems do: bytes that were not synced, from the
 * end and possibly in the middle of a write; names that were created, renamed or removed since their directory was
 * synced. How much of that is lost is drawn from the seed, so the same seed and the same operations give the same disk.
 *
 * Source: Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014), section 2.
 */
import { Effect, Latch, Layer } from "effect"
import * as Bytes from "../domain/bytes.ts"
import * as SeededRandom from "../domain/SeededRandom.ts"
import { type AppendHandle, DirectoryLocked, directoryOf, Disk, type Link, type ReadHandle } from "./Disk.ts"
import { MemoryFile } from "./MemoryFile.ts"
import { DiskError, DiskFull, type StorageError } from "./StorageError.ts"

/** The names under which operations are counted and made to fail. */
export type Operation =
  | "makeDirectory"
  | "list"
  | "readFile"
  | "size"
  | "openRead"
  | "read"
  | "openAppend"
  | "append"
  | "sync"
  | "truncate"
  | "rename"
  | "link"
  | "remove"
  | "removeDirectory"
  | "syncDirectory"

/** The disk and the controls that a test turns. */
export interface DiskMemory {
  readonly disk: Disk["Service"]
  readonly layer: Layer.Layer<Disk>
  readonly operations: () => number
  readonly count: (operation: Operation) => number
  /** Every file as the running process sees it. */
  readonly files: () => ReadonlyMap<string, Uint8Array>
  /** While it is full, no byte and no name can be added. */
  readonly setFull: (full: boolean) => void
  /** The next such operation on a path that contains `path` fails, once. A failed append leaves half of its bytes. */
  readonly failNext: (operation: Operation, path: string, fault?: "EIO" | "full") => void
  /** Reads of what it chooses fail with `EIO`, until it is set again: a sector, a file, or the disk. */
  readonly setUnreadable: (isUnreadable: (path: string, startBytes: number, endBytes: number) => boolean) => void
  /** The power goes off at the n-th operation from now, which may still take effect in part. */
  readonly powerOffAt: (operation: number) => void
  /** From now on every operation fails. */
  readonly powerOff: () => void
  readonly isOff: () => boolean
  /** The power is back: what was not synced is lost as far as the seed says, locks are free, old handles are dead. */
  readonly powerOn: () => void
  /** The process died and the system lives: nothing is lost, locks are free, old handles are dead. */
  readonly release: () => void
  /** From now on operations take time: appended bytes are there at once, everything else happens at the end. */
  readonly setLatency: (latency: (operation: Operation) => Effect.Effect<void>) => void
  /** Closed, it holds every sync until it is opened. */
  readonly syncs: Latch.Latch
  /** Flips the bits of one byte, as a decaying disk does. */
  readonly damage: (path: string, offsetBytes: number) => void
}

/** A change of names that the directory has not been synced for. */
type NameChange = readonly [path: string, file: MemoryFile | undefined]

export const make = (seed: number): DiskMemory => new Model(seed).controls()

export const layer: Layer.Layer<Disk> = Layer.effect(Disk, Effect.sync(() => make(1).disk))

class Model {
  private readonly draw: () => number
  private names = new Map<string, MemoryFile>()
  private durableNames = new Map<string, MemoryFile>()
  private readonly pending = new Map<string, Array<ReadonlyArray<NameChange>>>()
  private readonly locks = new Set<string>()
  private readonly counts = new Map<Operation, number>()
  private faults: Array<{ operation: Operation; path: string; fault: "EIO" | "full" }> = []
  private isUnreadable: (path: string, startBytes: number, endBytes: number) => boolean = () => false
  private readonly syncs = Latch.makeUnsafe(true)
  private operations = 0
  private offAt = Number.POSITIVE_INFINITY
  private off = false
  private full = false
  private latency: (operation: Operation) => Effect.Effect<void> = () => Effect.void
  /** Raised by each `powerOn`: a handle of an earlier life is dead. */
  private life = 0

  constructor(seed: number) {
    this.draw = SeededRandom.mulberry32(seed)
  }

  controls(): DiskMemory {
    const disk = this.service()
    return {
      disk,
      layer: Layer.succeed(Disk, disk),
      operations: () => this.operations,
      count: (operation) => this.counts.get(operation) ?? 0,
      files: () => new Map(Array.from(this.names, ([path, file]) => [path, Bytes.copyOf(file.bytes)])),
      setFull: (full) => {
        this.full = full
      },
      failNext: (operation, path, fault = "EIO") => {
        this.faults.push({ operation, path, fault })
      },
      setUnreadable: (isUnreadable) => {
        this.isUnreadable = isUnreadable
      },
      powerOffAt: (operation) => {
        this.offAt = this.operations + operation
      },
      powerOff: () => {
        this.off = true
      },
      isOff: () => this.off,
      powerOn: () => this.powerOn(),
      release: () => this.release(),
      setLatency: (latency) => {
        this.latency = latency
      },
      syncs: this.syncs,
      damage: (path, offsetBytes) => {
        const { bytes } = this.names.get(path)!
        bytes[offsetBytes] = bytes[offsetBytes]! ^ 0xff
      }
    }
  }

  private service(): Disk["Service"] {
    return {
      makeDirectory: (path) => this.run("makeDirectory", path, () => undefined),
      list: (directory) =>
        this.run("list", directory, () => {
          const below = Array.from(this.names.keys()).filter((path) => path.startsWith(`${directory}/`))
          return Array.from(new Set(below.map((path) => path.slice(directory.length + 1).split("/")[0]!))).sort()
        }),
      readFile: (path) =>
        this.run("readFile", path, () => {
          const file = this.names.get(path)
          if (file === undefined) return undefined
          const { bytes } = file
          return this.isUnreadable(path, 0, bytes.length) ? unreadable("readFile", path) : Bytes.copyOf(bytes)
        }),
      sizeBytes: (path) => this.withFile("size", path, (file) => file.bytes.length),
      openRead: (path) => this.withFile("openRead", path, (file) => this.readHandle(path, file)),
      openAppend: (path, options) =>
        this.run("openAppend", path, () => {
          let file = this.names.get(path)
          if (file === undefined) {
            file = new MemoryFile()
            this.rename(directoryOf(path), [[path, file]])
          }
          if (options?.empty === true) file.cut(0)
          return this.appendHandle(path, file)
        }),
      truncate: (path, sizeBytes) =>
        this.withFile("truncate", path, (file) => {
          file.cut(sizeBytes)
          file.settle(file.extent)
        }),
      rename: (from, to) =>
        this.withFile("rename", from, (file) => this.rename(directoryOf(to), [[from, undefined], [to, file]])),
      link: (from, to) =>
        this.withFile<Link>("link", from, (file) => {
          if (this.names.has(to)) return new DiskError({ operation: "link", path: to, code: "EEXIST" })
          this.rename(directoryOf(to), [[to, file]])
          return "linked"
        }),
      removeDirectory: (path) =>
        this.run("removeDirectory", path, () => {
          const below = Array.from(this.names.keys()).filter((name) => name.startsWith(`${path}/`))
          for (const name of below) this.rename(directoryOf(name), [[name, undefined]])
        }),
      remove: (path) =>
        this.run("remove", path, () => {
          if (this.names.has(path)) this.rename(directoryOf(path), [[path, undefined]])
        }),
      syncDirectory: (path) =>
        Effect.suspend(() => {
          // Changes that come meanwhile need not be among it.
          const begun = new Set(this.pending.get(path))
          return this.run("syncDirectory", path, () => {
            const changes = this.pending.get(path) ?? []
            this.pending.set(path, changes.filter((change) => !begun.has(change)))
            for (const change of changes) {
              if (begun.has(change)) applyNames(this.durableNames, change)
            }
          })
        }),
      lock: (directory) =>
        Effect.asVoid(Effect.acquireRelease(
          Effect.suspend(() => {
            if (this.locks.has(directory)) return Effect.fail(new DirectoryLocked({ path: directory }))
            this.locks.add(directory)
            return Effect.succeed(this.life)
          }),
          (life) =>
            Effect.sync(() => {
              if (life === this.life) this.locks.delete(directory)
            })
        ))
    }
  }

  private readHandle(path: string, file: MemoryFile): ReadHandle {
    const life = this.life
    let closed = false
    return {
      read: (offsetBytes, lengthBytes) =>
        Effect.andThen(
          Effect.yieldNow,
          this.run("read", path, () => {
            if (closed || life !== this.life) return dead("read", path)
            const end = offsetBytes + lengthBytes
            if (this.isUnreadable(path, offsetBytes, end)) return unreadable("read", path)
            return end > file.bytes.length
              ? new DiskError({ operation: "read", path, code: "EOF" })
              : Bytes.copyOf(file.bytes, offsetBytes, end)
          })
        ),
      // Every read takes a turn, so that other work happens between request and answer.
      readNow: () => false,
      close: Effect.sync(() => {
        closed = true
      })
    }
  }

  private appendHandle(path: string, file: MemoryFile): AppendHandle {
    const life = this.life
    return {
      append: (bytes) =>
        this.run(
          "append",
          path,
          () => life === this.life ? file.append(bytes) : dead("append", path),
          () => file.append(bytes.subarray(0, bytes.length >> 1))
        ),
      sync: Effect.suspend(() => {
        // Bytes appended meanwhile need not be among it.
        const begun = file.extent
        return Effect.andThen(
          Effect.andThen(Effect.yieldNow, this.syncs.await),
          this.run("sync", path, () => life === this.life ? file.settle(begun) : dead("sync", path))
        )
      }),
      close: Effect.void
    }
  }

  private withFile<A>(operation: Operation, path: string, use: (file: MemoryFile) => A | DiskError) {
    return this.run(operation, path, () => {
      const file = this.names.get(path)
      return file === undefined ? new DiskError({ operation, path, code: "ENOENT" }) : use(file)
    })
  }

  /** Counts the operation, and lets it happen, half happen (`inPart`) or fail. */
  private run<A>(
    operation: Operation,
    path: string,
    act: () => A | DiskError,
    inPart?: () => void
  ): Effect.Effect<A, StorageError> {
    const effect = Effect.suspend(() => {
      if (this.off) return Effect.fail(new DiskError({ operation, path, code: "EOFF" }))
      this.operations++
      this.counts.set(operation, (this.counts.get(operation) ?? 0) + 1)
      const fault = this.faultOf(operation, path)
      if (fault !== undefined) {
        inPart?.()
        return Effect.fail(fault)
      }
      const result = act()
      return result instanceof DiskError ? Effect.fail(result) : Effect.succeed(result)
    })
    const delay = Effect.suspend(() => this.latency(operation))
    return Effect.uninterruptible(
      operation === "append" ? Effect.tap(effect, delay) : Effect.andThen(delay, effect)
    )
  }

  private faultOf(operation: Operation, path: string): StorageError | undefined {
    if (this.operations >= this.offAt) {
      this.off = true
      return new DiskError({ operation, path, code: "EOFF" })
    }
    const adds = operation === "append" || operation === "link" || (operation === "openAppend" && !this.names.has(path))
    if (this.full && adds) return new DiskFull({ path })
    const index = this.faults.findIndex((fault) => fault.operation === operation && path.includes(fault.path))
    if (index === -1) return undefined
    const [found] = this.faults.splice(index, 1)
    return found!.fault === "full" ? new DiskFull({ path }) : new DiskError({ operation, path, code: "EIO" })
  }

  private rename(directory: string, change: ReadonlyArray<NameChange>): void {
    applyNames(this.names, change)
    const changes = this.pending.get(directory)
    if (changes === undefined) this.pending.set(directory, [change])
    else changes.push(change)
  }

  private powerOn(): void {
    for (const changes of this.pending.values()) {
      // Any of them may have reached the device without the others: POSIX promises no order before the sync.
      const share = this.draw()
      for (const change of changes) {
        if (this.draw() < share) applyNames(this.durableNames, change)
      }
    }
    this.pending.clear()
    for (const file of new Set(this.durableNames.values())) file.lose(this.draw)
    this.names = new Map(this.durableNames)
    this.faults = []
    this.offAt = Number.POSITIVE_INFINITY
    this.off = false
    this.release()
  }

  private release(): void {
    this.locks.clear()
    this.life++
  }
}

const dead = (operation: Operation, path: string) => new DiskError({ operation, path, code: "EBADF" })

const unreadable = (operation: Operation, path: string) => new DiskError({ operation, path, code: "EIO" })

const applyNames = (names: Map<string, MemoryFile>, change: ReadonlyArray<NameChange>): void => {
  for (const [path, file] of change) {
    if (file === undefined) names.delete(path)
    else names.set(path, file)
  }
}
