/** Helpers of the storage tests: cells, answers, and stores on a disk in memory. */
import { assert } from "@effect/vitest"
import { Effect, Exit, Schema, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { AppendHandle } from "../../src/disk/Disk.ts"
import * as DiskMemory from "../../src/disk/DiskMemory.ts"
import type { StorageError } from "../../src/disk/StorageError.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import type { Key } from "../../src/domain/Key.ts"
import { NodeId } from "../../src/domain/NodeId.ts"
import { Incarnation, type Version } from "../../src/domain/Version.ts"
import type { Applied } from "../../src/storage/Applied.ts"
import * as Engine from "../../src/storage/Engine.ts"
import type { Storage } from "../../src/storage/Storage.ts"
import { inVirtualTime } from "../inVirtualTime.ts"

export const directory = "data"

export const key = (text: string) => text as Key

/** Texts that lines, JSON, byte order or UTF-16 treat specially; few of them, so that keys share long prefixes. */
const Letter = Schema.Literals([..."ab/\"\\\n\u0001ü\uFFEE\u{1F600}", "\",\"version\":\"", "{\"key\":\"a\""])

/** A property draws these for `keysOf`, because too few random strings match a schema of `Key`. */
export const Letters = Schema.Array(Schema.Array(Letter))

export const keysOf = (letters: typeof Letters.Type): ReadonlyArray<Key> =>
  Array.from(new Set(letters.map((word) => key(`k${word.join("")}`))))

export const version = (counter: number, nodeId = "node1"): Version => ({
  counter,
  nodeId: NodeId.make(nodeId),
  incarnation: Incarnation.make("0123456789ab")
})

export const cell = (text: string, counter: number, value = `${text}@${counter}`, nodeId = "node1"): Cell => ({
  key: key(text),
  version: version(counter, nodeId),
  value: { bytes: Buffer.from(value), contentType: "text/plain" }
})

export const tombstone = (text: string, counter: number): Cell => ({
  key: key(text),
  version: version(counter),
  value: undefined
})

/** Cells with keys in order from `k0000` on, each with a value of so many bytes or a short one. */
export const numbered = (count: number, valueBytes = 0, first = 0): ReadonlyArray<Cell> =>
  Array.from({ length: count }, (_, index) => {
    const name = `k${String(first + index).padStart(4, "0")}`
    return cell(name, index + 1, `${name}@${index + 1}`.padEnd(valueBytes, "x"))
  })

/** Answers of `apply`: the cell is the newest of its key, it replaces a value, or there is a newer one. */
export const accepted: Applied = { _tag: "Accepted", replaced: false }
export const replacing: Applied = { _tag: "Accepted", replaced: true }
export const superseded = (counter: number): Applied => ({ _tag: "Superseded", newest: version(counter) })

/** A cell in a form that compares equal for all classes of bytes. */
export const plain = (found: Cell | undefined) =>
  found === undefined
    ? undefined
    : {
      key: found.key as string,
      version: found.version,
      value: found.value === undefined
        ? undefined
        : { text: Buffer.from(found.value.bytes).toString("latin1"), type: found.value.contentType }
    }

export const assertCell = (found: Cell | undefined, expected: Cell | undefined) =>
  assert.deepStrictEqual(plain(found), plain(expected))

export interface Open {
  readonly storage: Storage["Service"]
  readonly close: Effect.Effect<void>
}

export type Settings = Partial<Engine.Options>

type OnDisk = Pick<DiskMemory.DiskMemory, "disk">

/** Opens a store that the test closes. */
export const open = Effect.fnUntraced(function*({ disk }: OnDisk, settings: Settings = {}) {
  const scope = yield* Scope.make()
  const storage = yield* Engine.open(disk, {
    directory,
    fsync: "always",
    memtableBytesMax: 1024 * 1024,
    blockCacheBytesMax: 1024 * 1024,
    level0Tables: 4,
    ...settings
  }).pipe(Scope.provide(scope), Effect.onError(() => Scope.close(scope, Exit.void)))
  const opened: Open = { storage, close: Scope.close(scope, Exit.void) }
  return opened
})

/** Opens a store that is closed at the end of the test. */
export const openScoped = Effect.fnUntraced(function*(on: OnDisk, settings?: Settings) {
  const { storage } = yield* Effect.acquireRelease(open(on, settings), ({ close }) => close)
  return storage
})

/** Power off, the process ends, power on. */
export const crash = Effect.fnUntraced(function*(memory: DiskMemory.DiskMemory, opened: Open) {
  memory.powerOff()
  yield* opened.close
  memory.powerOn()
})

/** A store on a disk in memory, and the ways in which its process can end. */
export interface Stage {
  readonly memory: DiskMemory.DiskMemory
  readonly storage: Storage["Service"]
  readonly close: Effect.Effect<void>
  /** Closes the store and opens it again. */
  readonly restart: Effect.Effect<Storage["Service"], StorageError>
  /** Opens the store again after a power failure. */
  readonly crash: Effect.Effect<Storage["Service"], StorageError>
}

/** Closes the store at the end of the test. */
export const stage = Effect.fnUntraced(function*(settings?: Settings, memory = DiskMemory.make(1)) {
  let opened = yield* open(memory, settings)
  yield* Effect.addFinalizer(() => opened.close)
  const close = Effect.suspend(() => opened.close)
  const reopen = Effect.map(open(memory, settings), (next) => {
    opened = next
    return next.storage
  })
  const made: Stage = {
    memory,
    storage: opened.storage,
    close,
    restart: Effect.andThen(close, reopen),
    crash: Effect.andThen(Effect.suspend(() => crash(memory, opened)), reopen)
  }
  return made
})

/** Declares tests of a store with these settings, in virtual time. */
export const withSettings =
  (settings: Settings) =>
  (name: string, body: (stage: Stage) => Generator<Effect.Effect<unknown, unknown, Scope.Scope>, void, never>): void =>
    inVirtualTime(name, function*() {
      const staged = yield* stage(settings)
      yield* Effect.gen(() => body(staged))
    })

export const withStore = withSettings({})

/** The disk, with changed handles for appending. */
export const withHandles = (
  memory: DiskMemory.DiskMemory,
  change: (path: string, handle: AppendHandle) => AppendHandle
): DiskMemory.DiskMemory => {
  const openAppend: typeof memory.disk.openAppend = (path, options) =>
    Effect.map(memory.disk.openAppend(path, options), (handle) => change(path, handle))
  return { ...memory, disk: { ...memory.disk, openAppend } }
}

/** The paths of files that contain `part`, sorted. */
export const pathsOf = (memory: DiskMemory.DiskMemory, part: string): ReadonlyArray<string> =>
  Array.from(memory.files().keys()).filter((path) => path.includes(part)).sort()

/** A look-up of the key of each cell gives that cell. */
export const assertHolds = Effect.fnUntraced(function*(
  storage: Pick<Storage["Service"], "get">,
  ...cells: ReadonlyArray<Cell>
) {
  for (const one of cells) assertCell(yield* storage.get(one.key), one)
})

/** Writes the cells to a table of their own. */
export const writeTable = Effect.fnUntraced(function*(storage: Storage["Service"], ...cells: ReadonlyArray<Cell>) {
  yield* storage.apply(cells)
  yield* storage.flush
})

/** Runs all of them at the same time. */
export const atOnce = <A, E, R>(effects: Iterable<Effect.Effect<A, E, R>>) =>
  Effect.all(effects, { concurrency: "unbounded" })

export const assertAbsent = Effect.fnUntraced(function*(
  storage: Pick<Storage["Service"], "get">,
  ...names: ReadonlyArray<string>
) {
  for (const name of names) assert.isUndefined(yield* storage.get(key(name)))
})

/** Lets the other fibers run until something holds; time passes only if each turn is a sleep. */
export const until = Effect.fnUntraced(function*<E, R>(
  holds: Effect.Effect<boolean, E, R>,
  turn: Effect.Effect<void> = Effect.yieldNow
) {
  for (let count = 0; count < 10_000; count++) {
    if (yield* holds) return
    yield* turn
  }
  assert.fail("it did not come to pass in 10,000 turns")
})

/** Lets time pass on a test's clock, because a store whose flush lags makes writers sleep. */
export const driven = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.raceFirst(effect, Effect.forever(Effect.andThen(Effect.yieldNow, TestClock.adjust("100 millis"))))

export const collect = (storage: Storage["Service"], options?: Parameters<Storage["Service"]["scan"]>[0]) =>
  Stream.runCollect(storage.scan(options))

/** The cells of the store in a directory, by `plain`; its files must not change. */
export const contentsOf = Effect.fnUntraced(function*(memory: DiskMemory.DiskMemory, directory: string) {
  const before = pathsOf(memory, directory)
  const { close, storage } = yield* open(memory, { directory, blockCacheBytesMax: 0 })
  const cells = yield* Effect.ensuring(collect(storage), close)
  assert.deepStrictEqual(pathsOf(memory, directory), before)
  return cells.map(plain)
})
