/** What the storage tests share: cells, and a store over a disk in memory that is opened, crashed and opened again. */
import { assert } from "@effect/vitest"
import { Effect, Exit, Schema, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { Fsync } from "../../src/config/NodeConfig.ts"
import type { DiskMemory } from "../../src/disk/DiskMemory.ts"
import type { Cell } from "../../src/domain/cell/Cell.ts"
import type { Key } from "../../src/domain/Key.ts"
import { NodeId } from "../../src/domain/NodeId.ts"
import { Incarnation, type Version } from "../../src/domain/Version.ts"
import * as Engine from "../../src/storage/Engine.ts"
import type { Storage } from "../../src/storage/Storage.ts"

export const directory = "data"

export const key = (text: string) => text as Key

/** Letters that JSON, byte order or UTF-16 treat specially; keys drawn from few letters share long prefixes. */
const Letter = Schema.Literals(["a", "b", "/", "\"", "\\", "\n", "\u0001", "ü", "\uFFEE", "\u{1F600}"])

/** What a property draws to get keys with `keysOf`: a schema for `Key` itself is met by too few random strings. */
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

/** What a cell says, comparable whatever class its bytes have. */
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

export interface Settings {
  readonly fsync?: Fsync
  readonly memtableBytesMax?: number
  readonly blockCacheBytesMax?: number
  readonly tellsReplaced?: boolean
  readonly tombstones?: "keep" | "purge"
}

/** Opens a store that is closed by hand, as a process is. */
export const open = Effect.fnUntraced(function*(memory: DiskMemory, settings: Settings = {}) {
  const scope = yield* Scope.make()
  const storage = yield* Engine.open(memory.disk, {
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

/** Opens a store that is closed with the test. */
export const openScoped = Effect.fnUntraced(function*(memory: DiskMemory, settings?: Settings) {
  const { storage } = yield* Effect.acquireRelease(open(memory, settings), ({ close }) => close)
  return storage
})

/** Power off, the process ends, power on. */
export const crash = Effect.fnUntraced(function*(memory: DiskMemory, opened: Open) {
  memory.powerOff()
  yield* opened.close
  memory.powerOn()
})

/** Lets the other fibers run until something holds. */
export const until = Effect.fnUntraced(function*(holds: Effect.Effect<boolean>) {
  for (let turn = 0; turn < 10_000; turn++) {
    if (yield* holds) return
    yield* Effect.yieldNow
  }
  assert.fail("it did not come to pass in 10,000 turns")
})

/** Lets the clock go on while it waits, because a store whose flush lags makes writers sleep. */
export const driven = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.raceFirst(effect, Effect.forever(Effect.andThen(Effect.yieldNow, TestClock.adjust("100 millis"))))

export const collect = (storage: Storage["Service"], options?: Parameters<Storage["Service"]["scan"]>[0]) =>
  Stream.runCollect(storage.scan(options))
