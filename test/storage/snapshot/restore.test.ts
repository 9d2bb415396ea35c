import { assert, describe } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { NodeConfig } from "../../../src/config/NodeConfig.ts"
import { Disk } from "../../../src/disk/Disk.ts"
import * as DiskMemory from "../../../src/disk/DiskMemory.ts"
import { Identity } from "../../../src/disk/Identity.ts"
import { restore } from "../../../src/storage/snapshot/restore.ts"
import { inVirtualTime } from "../../inVirtualTime.ts"
import * as FaultyDisk from "../crashes/FaultyDisk.ts"
import { cell, contentsOf, directory, open, pathsOf, plain, tombstone, writeTable } from "../store.ts"
import { powerOffEverywhere } from "./powerOffEverywhere.ts"

const snapshot = "snapshots/one"
const target = "restored"
const some = [cell("a", 1), cell("b", 2), tombstone("c", 3)]

/** Leaves a snapshot on the disk. */
const prepare = Effect.fnUntraced(function*(memory: DiskMemory.DiskMemory) {
  const { close, storage } = yield* open(memory)
  yield* writeTable(storage, ...some.slice(0, 2))
  yield* storage.apply(some.slice(2))
  yield* storage.snapshot(snapshot)
  yield* close
})

const prepared = Effect.fnUntraced(function*(seed: number) {
  const memory = DiskMemory.make(seed)
  yield* prepare(memory)
  return memory
})

const identityOf = (memory: DiskMemory.DiskMemory, dataDirectory: string) =>
  Effect.scoped(
    Identity.pipe(Effect.provide(Identity.layer.pipe(
      Layer.provide([Layer.succeed(Disk, memory.disk), NodeConfig.layerTest({ dataDirectory })])
    )))
  )

describe("restoring", () => {
  inVirtualTime("makes a writable store of a snapshot, and does not change the snapshot", function*() {
    const memory = yield* prepared(1)
    const before = Array.from(memory.files()).filter(([path]) => path.startsWith(snapshot))
    const report = yield* restore(memory.disk, snapshot, target)
    assert.deepInclude(report, { directory: target, tables: 2, cells: 3, bytesCopied: 0, holes: 0 })
    assert.deepStrictEqual(yield* contentsOf(memory, target), some.map(plain))
    const { close, storage } = yield* open(memory, { directory: target })
    assert.strictEqual(yield* storage.counterMax, 3)
    yield* storage.apply([cell("a", 9)])
    yield* storage.compact
    yield* close
    assert.deepStrictEqual(Array.from(memory.files()).filter(([path]) => path.startsWith(snapshot)), before)
  })

  inVirtualTime("leaves the node without an identity, so that it draws a new incarnation", function*() {
    const memory = yield* prepared(1)
    const old = yield* identityOf(memory, directory)
    yield* old.markSettled
    assert.isFalse((yield* identityOf(memory, directory)).fresh)
    yield* restore(memory.disk, snapshot, target)
    const restored = yield* identityOf(memory, target)
    assert.isTrue(restored.fresh)
    assert.notStrictEqual(restored.incarnation, old.incarnation)
  })

  inVirtualTime("refuses a directory that is not empty, and a source that is no snapshot", function*() {
    const memory = yield* prepared(1)
    yield* memory.disk.openAppend(`${target}/identity.json`)
    const taken = yield* Effect.flip(restore(memory.disk, snapshot, target))
    assert.strictEqual(taken.message, "restored is not empty (identity.json): move it away, or name another directory")
    yield* memory.disk.remove(`${target}/identity.json`)
    const none = yield* Effect.flip(restore(memory.disk, "snapshots/two", target))
    assert.include(none.message, "no snapshot, or an incomplete one")
    const { close, storage } = yield* open(memory)
    yield* storage.apply([cell("z", 9)])
    yield* close
    const live = yield* Effect.flip(restore(memory.disk, directory, target))
    assert.include(live.message, "is a data directory, not a snapshot")
    assert.deepStrictEqual(pathsOf(memory, `${target}/`), [])
    yield* memory.disk.openAppend(`${target}/LOCK`)
    assert.strictEqual((yield* restore(memory.disk, snapshot, target)).tables, 2)
  })

  inVirtualTime("is complete or leaves no manifest when the power fails at any of its operations", function*() {
    const incomplete = yield* powerOffEverywhere(
      prepare,
      ({ disk }) => restore(disk, snapshot, target),
      target,
      some
    )
    assert.isAtLeast(incomplete, 8)
  })

  inVirtualTime("leaves nothing behind when the disk fails, and can be tried again", function*() {
    let failures = 0
    for (let number = 1, reached = true; reached; number++) {
      const memory = yield* prepared(number)
      const faulty = FaultyDisk.make(memory.disk)
      faulty.setPlan((operation) => operation.number === number ? "EIO" : undefined)
      const outcome = yield* Effect.result(restore(faulty.disk, snapshot, target))
      reached = faulty.failed().length > 0
      if (outcome._tag === "Success") continue
      assert.deepStrictEqual(pathsOf(memory, `${target}/`), [], `operation ${number}`)
      yield* restore(faulty.disk, snapshot, target)
      failures++
    }
    assert.isAtLeast(failures, 10)
  })
})
