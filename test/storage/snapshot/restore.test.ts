import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { NodeConfig } from "../../../src/config/NodeConfig.ts"
import { Disk } from "../../../src/disk/Disk.ts"
import * as DiskMemory from "../../../src/disk/DiskMemory.ts"
import { Identity } from "../../../src/disk/Identity.ts"
import * as Engine from "../../../src/storage/Engine.ts"
import { restore } from "../../../src/storage/snapshot/restore.ts"
import * as FaultyDisk from "../crashes/FaultyDisk.ts"
import { cell, collect, directory, open, plain, tombstone } from "../store.ts"

const snapshot = "snapshots/one"
const target = "restored"
const some = [cell("a", 1), cell("b", 2), tombstone("c", 3)]

/** A disk with a snapshot, whose node has ended. */
const prepared = Effect.fnUntraced(function*(seed: number) {
  const memory = DiskMemory.make(seed)
  const { close, storage } = yield* open(memory)
  yield* storage.apply(some.slice(0, 2))
  yield* storage.flush
  yield* storage.apply(some.slice(2))
  yield* storage.snapshot(snapshot)
  yield* close
  return memory
})

const filesIn = (memory: DiskMemory.DiskMemory) =>
  Array.from(memory.files().keys()).filter((path) => path.startsWith(`${target}/`))

const contents = Effect.fnUntraced(function*(memory: DiskMemory.DiskMemory) {
  const scope = yield* Scope.make()
  const storage = yield* Engine.open(memory.disk, {
    directory: target,
    fsync: "always",
    memtableBytesMax: 1024 * 1024,
    blockCacheBytesMax: 0
  }).pipe(Scope.provide(scope))
  const cells = (yield* collect(storage)).map(plain)
  yield* Scope.close(scope, Exit.void)
  return cells
})

const identityOf = (memory: DiskMemory.DiskMemory, dataDirectory: string) =>
  Effect.scoped(
    Identity.pipe(Effect.provide(Identity.layer.pipe(
      Layer.provide([Layer.succeed(Disk, memory.disk), NodeConfig.layerTest({ dataDirectory })])
    )))
  )

describe("restoring", () => {
  it.effect("makes a snapshot a store that takes writes, and leaves the snapshot as it is", () =>
    Effect.gen(function*() {
      const memory = yield* prepared(1)
      const before = Array.from(memory.files()).filter(([path]) => path.startsWith(snapshot))
      const report = yield* restore(memory.disk, snapshot, target)
      assert.deepInclude(report, { directory: target, tables: 2, cells: 3, bytesCopied: 0, holes: 0 })
      assert.deepStrictEqual(yield* contents(memory), some.map(plain))
      const scope = yield* Scope.make()
      const storage = yield* Engine.open(memory.disk, {
        directory: target,
        fsync: "always",
        memtableBytesMax: 1024 * 1024,
        blockCacheBytesMax: 0
      }).pipe(Scope.provide(scope))
      assert.strictEqual(yield* storage.counterMax, 3)
      yield* storage.apply([cell("a", 9)])
      yield* storage.compact
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(Array.from(memory.files()).filter(([path]) => path.startsWith(snapshot)), before)
    }))

  it.effect("leaves the node without an identity, so that it draws a new incarnation and counts as new", () =>
    Effect.gen(function*() {
      const memory = yield* prepared(1)
      const old = yield* identityOf(memory, directory)
      yield* old.markSettled
      assert.isFalse((yield* identityOf(memory, directory)).fresh)
      yield* restore(memory.disk, snapshot, target)
      const restored = yield* identityOf(memory, target)
      assert.isTrue(restored.fresh)
      assert.notStrictEqual(restored.incarnation, old.incarnation)
    }))

  it.effect("refuses a directory that has something, and what is no snapshot", () =>
    Effect.gen(function*() {
      const memory = yield* prepared(1)
      yield* memory.disk.openAppend(`${target}/identity.json`)
      const taken = yield* Effect.flip(restore(memory.disk, snapshot, target))
      assert.strictEqual(
        taken.message,
        "restored is not empty (identity.json): move it away, or name another directory"
      )
      yield* memory.disk.remove(`${target}/identity.json`)
      const none = yield* Effect.flip(restore(memory.disk, "snapshots/two", target))
      assert.include(none.message, "no snapshot, or an incomplete one")
      const { close, storage } = yield* open(memory)
      yield* storage.apply([cell("z", 9)])
      yield* close
      const live = yield* Effect.flip(restore(memory.disk, directory, target))
      assert.include(live.message, "is a data directory, not a snapshot")
      assert.deepStrictEqual(filesIn(memory), [])
      yield* memory.disk.openAppend(`${target}/LOCK`)
      assert.strictEqual((yield* restore(memory.disk, snapshot, target)).tables, 2)
    }))

  it.effect("is done or leaves no manifest when the power fails, at any of its operations", () =>
    Effect.gen(function*() {
      const outcomes = { whole: 0, incomplete: 0 }
      for (let number = 1, reached = true; reached; number++) {
        const memory = yield* prepared(number)
        memory.powerOffAt(number)
        yield* Effect.exit(restore(memory.disk, snapshot, target))
        reached = memory.isOff()
        memory.powerOff()
        memory.powerOn()
        if (memory.files().has(`${target}/MANIFEST`)) {
          assert.deepStrictEqual(yield* contents(memory), some.map(plain), `operation ${number}`)
          outcomes.whole++
        } else outcomes.incomplete++
      }
      assert.isAtLeast(outcomes.incomplete, 8)
      assert.isAtLeast(outcomes.whole, 1)
    }))

  it.effect("leaves nothing behind when the disk refuses, and can be tried again", () =>
    Effect.gen(function*() {
      let failures = 0
      for (let number = 1, reached = true; reached; number++) {
        const memory = yield* prepared(number)
        const faulty = FaultyDisk.make(memory.disk)
        faulty.setPlan((operation) => operation.number === number ? "EIO" : undefined)
        const outcome = yield* Effect.result(restore(faulty.disk, snapshot, target))
        reached = faulty.failed().length > 0
        if (outcome._tag === "Success") continue
        assert.deepStrictEqual(filesIn(memory), [], `operation ${number}`)
        yield* restore(faulty.disk, snapshot, target)
        failures++
      }
      assert.isAtLeast(failures, 10)
    }))
})
